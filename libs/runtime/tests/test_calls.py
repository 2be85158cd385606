"""Calls to services that are away, and back."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest

from modelux.replay.v1.replay_pb2 import GetRequest, GetResponse
from modelux_contracts.errors import ProblemError
from modelux_runtime.calls import call
from modelux_runtime.rpc import channel, serving

SERVICE = "modelux.replay.v1.ReplayService"


def answering(server: grpc.aio.Server) -> None:
    async def get(request: GetRequest, context: object) -> GetResponse:
        return GetResponse()

    handler = grpc.unary_unary_rpc_method_handler(get, GetRequest.FromString, GetResponse.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Get": handler})])


async def test_a_service_that_was_away_answers_the_first_call_after_its_start(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/replay.sock"
    async with channel(target) as calling:
        with pytest.raises(ProblemError) as away:
            await call(calling, SERVICE, GetRequest(), GetResponse)
        assert (away.value.problem.status, away.value.problem.code) == (503, "replay_unavailable")
        async with serving(target, answering):
            assert await call(calling, SERVICE, GetRequest(), GetResponse) == GetResponse()
