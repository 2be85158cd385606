"""Events written by hand are what the generated class reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling import event_wire as wire
from modelux_calling.loops import Repeats
from routing_core.types import Outcome, Target, Usage, UsageExtras

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
COUNT = st.integers(0, 2**62)
EXTRAS = st.builds(UsageExtras, *[COUNT] * 7).filter(UsageExtras().__ne__)
USAGE = st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, st.booleans(), st.none() | EXTRAS)
TARGET = st.builds(Target, TEXT, TEXT, TEXT)
OUTCOME = st.builds(
    Outcome,
    TARGET,
    st.sampled_from(["ok", "status", "timeout", "connect", "invalid", "cut", "cancelled"]),
    st.none() | st.integers(0, 599),
    st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
    USAGE,
    COUNT,
    st.none() | TEXT,
)
MADE = st.builds(wire.Made, st.integers(1, 2**31 - 1), COUNT, TEXT, st.booleans(), COUNT)
END = st.sampled_from(["ok", "error", "cancelled", "unknown"])
REQUEST_ID = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26).map("req_".__add__)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.integers(0, 2**31 - 1), st.booleans(), st.booleans(), TEXT)
def test_constant_fields(org, project, key, endpoint, model, slug, version, stream, full, prices):
    event = RequestCompleted.FromString(
        wire.constant(org, project, key, endpoint, model, slug, version, stream, full, prices)
    )
    assert event == RequestCompleted(
        organization_id=org,
        project_id=project,
        key_id=key,
        endpoint=endpoint,
        requested_model=model,
        config_slug=slug,
        config_version=version,
        stream=stream,
        logging_mode="full" if full else "metadata_only",
        price_version=prices,
    )


@given(
    REQUEST_ID,
    COUNT,
    END,
    st.integers(0, 599),
    COUNT,
    COUNT,
    st.integers(-1, 2**62),
    COUNT,
)
def test_measured_fields(request_id, started, outcome, status, cost, latency, ttft, overhead):
    event = RequestCompleted.FromString(
        wire.measured(request_id, started, outcome, status, cost, latency, ttft, overhead)
    )
    assert event == RequestCompleted(
        request_id=request_id,
        started_at_us=started,
        outcome=outcome,
        status=status,
        cost_nano=cost,
        latency_us=latency,
        ttft_us=ttft,
        overhead_us=overhead,
    )


@given(TEXT, TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=5), st.booleans())
def test_optional_fields(policy, error, user, response, tags, shed):
    event = RequestCompleted.FromString(wire.optional(policy, error, user, response, tags, shed))
    assert event == RequestCompleted(
        policy_type=policy, error_code=error, end_user_id=user, response_id=response, tags=tags, body_shed=shed
    )


@given(COUNT, st.none() | st.integers(1, 2**62), st.frozensets(st.sampled_from(["tools", "vision", "logprobs"])))
def test_what_the_policy_knew_of_the_request(tokens, limit, needs):
    event = RequestCompleted.FromString(wire.features(tokens, limit, needs))
    assert event == RequestCompleted(estimated_input_tokens=tokens, max_tokens=limit or 0, needs=sorted(needs))


@given(st.integers(0, 10**9))
def test_microseconds_survive_as_milliseconds(count):
    assert wire.micros(count / 1000) == count


@given(TARGET, USAGE, st.binary(), st.binary(), st.binary())
def test_the_answer_and_the_bodies(target, usage, trace, request, response):
    event = RequestCompleted.FromString(
        wire.served_by(target, wire.usage(usage)) + b"".join(wire.bodies(trace, request, response))
    )
    assert (event.model, event.provider, event.credential_id) == (target.model, target.provider, target.credential_id)
    assert (event.trace_json, event.request_body, event.response_body) == (trace, request, response)
    assert read(event.usage) == usage


@given(st.lists(OUTCOME, max_size=4), st.data())
def test_attempts(outcomes, data):
    made = [data.draw(MADE) for _ in outcomes]
    event = RequestCompleted.FromString(wire.attempts(outcomes, made))
    assert len(event.attempts) == len(outcomes)
    for index, (found, outcome) in enumerate(zip(event.attempts, outcomes, strict=True)):
        told = (found.number, found.started_us, found.price_version, found.price_unknown, found.charged_nano)
        assert wire.Made(*told) == made[index]
        assert Target(found.model, found.provider, found.credential_id) == outcome.target
        assert found.kind == outcome.kind
        assert found.status == (outcome.status or 0)
        assert found.error_code == (outcome.error_code or "")
        assert found.latency_us == wire.micros(outcome.latency_ms)
        assert found.ttft_us == (-1 if outcome.ttft_ms is None else wire.micros(outcome.ttft_ms))
        assert read(found.usage) == outcome.usage
        assert found.cost_nano == outcome.cost_nano


@given(COUNT, st.booleans(), st.none() | st.builds(Repeats, TEXT, TEXT, TEXT, st.integers(0, 2**31 - 1)))
def test_what_few_requests_have(charged, unknown, repeats):
    event = RequestCompleted.FromString(wire.charges(charged, unknown, repeats))
    assert (event.charged_nano, event.price_unknown) == (charged, unknown)
    assert event.HasField("repeats") == (repeats is not None)
    if repeats is not None:
        found = event.repeats
        assert (found.budget_id, found.tag, found.value, found.calls) == repeats


def test_half_a_surrogate_pair_does_no_harm():
    assert RequestCompleted.FromString(wire.optional("", "\ud800x", "", "", {}, False)).error_code == "?x"


def read(usage: object) -> Usage:
    extras = UsageExtras(*(getattr(usage, name) for name in UsageExtras.__match_args__))
    return Usage(
        *(getattr(usage, name) for name in ("input", "output", "cache_read", "cache_write", "reasoning", "estimated")),
        extras if extras != UsageExtras() else None,
    )
