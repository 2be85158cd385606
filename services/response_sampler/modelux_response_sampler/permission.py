"""Ask the replay service whether an experiment may still call."""

from __future__ import annotations

import grpc.aio

from modelux.replay.v1.replay_pb2 import MayCallRequest, MayCallResponse
from modelux_contracts.errors import ProblemError
from modelux_response_sampler.hold import MayCall, Unknown
from modelux_runtime.calls import call


def permission(replay: grpc.aio.Channel) -> MayCall:
    """What to ask by; an experiment that replay does not know may not call."""

    async def may_call(organization_id: str, experiment_id: str) -> bool:
        request = MayCallRequest(organization_id=organization_id, experiment_id=experiment_id)
        try:
            answer = await call(replay, "modelux.replay.v1.ReplayService", request, MayCallResponse)
        except ProblemError as error:
            if error.problem.status == 404:
                return False
            raise Unknown(str(error)) from error
        return answer.may_call

    return may_call
