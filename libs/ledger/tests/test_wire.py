"""What is put on the wire is what is read there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux_ledger import wire
from routing_core.ledger.messages import Ask, Denied, Granted, Joined, LeaseAnswer, LeaseReport
from routing_core.ledger.meters import AccountView, Meter

names = st.text(max_size=20)
amounts = st.integers(0, 2**62)
meters = st.builds(Meter, names, names, st.sampled_from(["usd", "calls"]))
views = st.builds(AccountView, meters, amounts, amounts, amounts, amounts, amounts, st.booleans())
reasons = st.sampled_from(["exceeded", "run_aborted", "too_long", "gone", "fenced", "closed"])
states = st.sampled_from(["active", "closed", "forfeited", "fenced"])
leases = st.builds(LeaseAnswer, names, states, st.none() | views)


@given(st.lists(st.builds(Ask, meters, amounts, amounts)))
def test_asks(asks: list[Ask]) -> None:
    sent = wire.grant_request("rep_1", 7, "op_1", asks).SerializeToString()
    request = pb.GrantRequest.FromString(sent)
    assert (request.replica_id, request.epoch, request.op_id) == ("rep_1", 7, "op_1")
    assert list(wire.asks(request)) == asks


@given(
    st.builds(Denied, reasons, amounts, st.none() | views)
    | st.lists(st.builds(Granted, names, amounts, amounts, views)).map(tuple)
)
def test_what_is_granted_or_denied(answer: tuple[Granted, ...] | Denied) -> None:
    sent = wire.grant_response(answer).SerializeToString()
    assert wire.grant_answer(pb.GrantResponse.FromString(sent)) == answer


@given(st.lists(st.builds(LeaseReport, names, meters, *[amounts] * 5, st.booleans())))
def test_reports(reports: list[LeaseReport]) -> None:
    request = pb.ReportRequest.FromString(wire.report_request("rep_1", 7, reports).SerializeToString())
    assert (request.replica_id, request.epoch, wire.reports(request)) == ("rep_1", 7, reports)


@given(st.builds(Joined, names, amounts, st.lists(leases).map(tuple)))
def test_a_join(answer: Joined) -> None:
    assert wire.joined(pb.JoinResponse.FromString(wire.join_response(answer).SerializeToString())) == answer
