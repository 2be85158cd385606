"""Put what spenders and the ledger tell each other on the wire, and read it there: `ledger.proto` and `messages.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from modelux.ledger.v1 import ledger_pb2 as pb
from routing_core.ledger.messages import (
    AnswerState,
    Ask,
    Denied,
    Granted,
    Joined,
    LeaseAnswer,
    LeaseReport,
    Reason,
)
from routing_core.ledger.meters import AccountView, Meter

# As a spender


def grant_request(replica_id: str, epoch: int, op_id: str, asks: Sequence[Ask]) -> pb.GrantRequest:
    wants = [pb.Want(meter=to_meter(meter), need=need, want=want) for meter, need, want in asks]
    return pb.GrantRequest(replica_id=replica_id, epoch=epoch, op_id=op_id, wants=wants)


def grant_answer(answer: pb.GrantResponse) -> tuple[Granted, ...] | Denied:
    if answer.HasField("denied"):
        return denied(answer.denied)
    return tuple(Granted(each.lease_id, each.amount, each.usable_for_us, view(each.account)) for each in answer.granted)


def refuse_request(replica_id: str, epoch: int, meter: Meter, needed: int, request_id: str) -> pb.RefuseRequest:
    return pb.RefuseRequest(
        replica_id=replica_id, epoch=epoch, meter=to_meter(meter), needed=needed, request_id=request_id
    )


def denied(message: pb.Denied) -> Denied:
    account = view(message.account) if message.HasField("account") else None
    return Denied(cast(Reason, message.reason), message.needed, account)


def report_request(replica_id: str, epoch: int, reports: Sequence[LeaseReport]) -> pb.ReportRequest:
    leases = [
        pb.LeaseReport(
            lease_id=each.lease_id,
            meter=to_meter(each.meter),
            window_start_us=each.window_start_us,
            granted=each.granted,
            settled=each.settled,
            unknown=each.unknown,
            overrun=each.overrun,
            closed=each.closed,
        )
        for each in reports
    ]
    return pb.ReportRequest(replica_id=replica_id, epoch=epoch, leases=leases)


def answers(leases: Sequence[pb.LeaseAnswer]) -> tuple[LeaseAnswer, ...]:
    return tuple(
        LeaseAnswer(
            each.lease_id, cast(AnswerState, each.state), view(each.account) if each.HasField("account") else None
        )
        for each in leases
    )


def joined(answer: pb.JoinResponse) -> Joined:
    return Joined(answer.replica_id, answer.epoch, answers(answer.leases))


# As the ledger


def asks(request: pb.GrantRequest) -> tuple[Ask, ...]:
    return tuple(Ask(meter(each.meter), each.need, each.want) for each in request.wants)


def grant_response(answer: tuple[Granted, ...] | Denied) -> pb.GrantResponse:
    if isinstance(answer, Denied):
        return pb.GrantResponse(denied=to_denied(answer))
    granted = [
        pb.Granted(
            lease_id=each.lease_id,
            amount=each.amount,
            usable_for_us=each.usable_for_us,
            account=to_view(each.account),
        )
        for each in answer
    ]
    return pb.GrantResponse(granted=granted)


def to_denied(answer: Denied) -> pb.Denied:
    account = to_view(answer.account) if answer.account else None
    return pb.Denied(account=account, needed=answer.needed, reason=answer.reason)


def reports(request: pb.ReportRequest) -> list[LeaseReport]:
    return [
        LeaseReport(
            each.lease_id,
            meter(each.meter),
            each.window_start_us,
            each.granted,
            each.settled,
            each.unknown,
            each.overrun,
            each.closed,
        )
        for each in request.leases
    ]


def to_answers(leases: Sequence[LeaseAnswer]) -> list[pb.LeaseAnswer]:
    return [
        pb.LeaseAnswer(
            lease_id=each.lease_id, state=each.state, account=to_view(each.account) if each.account else None
        )
        for each in leases
    ]


def join_response(answer: Joined) -> pb.JoinResponse:
    return pb.JoinResponse(replica_id=answer.replica_id, epoch=answer.epoch, leases=to_answers(answer.leases))


# Both


def meter(message: pb.Meter) -> Meter:
    return Meter(message.budget_id, message.value, message.unit)


def to_meter(meter: Meter) -> pb.Meter:
    return pb.Meter(budget_id=meter.budget_id, value=meter.value, unit=meter.unit)


def view(message: pb.AccountView) -> AccountView:
    return AccountView(
        meter(message.meter),
        message.window_start_us,
        message.window_end_us,
        message.cap,
        message.settled,
        message.leased,
        message.hard,
    )


def to_view(view: AccountView) -> pb.AccountView:
    return pb.AccountView(
        meter=to_meter(view.meter),
        window_start_us=view.window_start_us,
        window_end_us=view.window_end_us,
        cap=view.cap,
        settled=view.settled,
        leased=view.leased,
        hard=view.hard,
    )
