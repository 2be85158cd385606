"""Requests that are refused with a valid key stand in the log, within a limit; others do not."""

from __future__ import annotations

import json
import time

import pytest

from modelux_proxy.refusals import BODY_LIMIT, PER_MINUTE

MESSAGES = [{"role": "user", "content": "hi"}]


def body(model: object = "a", **fields: object) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, **fields}).encode()


@pytest.mark.parametrize(
    ("sent", "status", "code", "model"),
    [
        pytest.param(body("nope"), 404, "model_not_found", "nope", id="unknown model"),
        pytest.param(body("@old"), 404, "config_archived", "@old", id="archived config"),
        pytest.param(body(temperature=9), 400, "invalid_value", "a", id="a field out of range"),
        pytest.param(body(7), 400, "invalid_value", "", id="a model that is none"),
        pytest.param(b'{"model": "a"', 400, "invalid_json", "", id="cut short"),
        pytest.param(b"\xff", 400, "invalid_encoding", "", id="not text"),
        pytest.param(b"[" * 5000, 400, "too_deep", "", id="deep"),
    ],
)
async def test_a_refusal_is_recorded_with_what_could_be_read(start, sent, status, code, model):
    async with start() as rig:
        answered, headers, answer = await rig.request(body=sent)
        (event,) = rig.events()
    assert answered == event.status == status
    assert json.loads(answer)["error"]["code"] == event.error_code == code
    assert (event.outcome, event.requested_model, event.request_id) == ("error", model, headers["x-request-id"])
    assert (event.organization_id, event.project_id, event.key_id) == ("org_1", "proj_1", "key_1")
    assert (event.endpoint, event.request_body, event.response_body) == ("chat", sent, answer)
    assert not event.attempts
    assert event.latency_us >= 0
    assert event.ttft_us == -1


async def test_a_key_that_may_not_use_the_config(start):
    async with start(allowed=frozenset({"b"})) as rig:
        status, _, _ = await rig.request(body=body("@production", stream=True))
        (event,) = rig.events()
    assert (status, event.status, event.error_code) == (403, 403, "model_not_allowed")
    assert (event.config_slug, event.config_version, event.stream) == ("production", 1, True)


async def test_our_own_limit_and_a_reused_idempotency_key(start):
    async with start(requests_per_minute=2) as rig:
        key = {"idempotency-key": "k"}
        sent = [(body(), key), (body("b"), key), (body(), {}), (body(), {})]
        statuses = [(await rig.request(body=data, headers=headers))[0] for data, headers in sent]
        events = rig.events()
    assert statuses == [200, 422, 200, 429]
    assert [event.status for event in events] == statuses
    assert [len(event.attempts) for event in events] == [1, 0, 1, 0]


async def test_nobody_is_recorded_who_has_no_valid_key(start):
    async with start() as rig:
        for headers in ({"authorization": "Bearer mlx_sk_wrong"}, {"authorization": ""}):
            assert (await rig.request(body=body(), headers=headers))[0] == 401
        assert (await rig.request("/v1/nothing", body=body()))[0] == 404
        assert (await rig.request("/v1/chat/completions", method="GET"))[0] == 405
        assert not rig.events()


async def test_bodies_are_kept_as_the_project_and_the_limit_say(start):
    async with start() as rig:
        await rig.request(body=body("nope", user="x" * BODY_LIMIT))
        (event,) = rig.events()
    assert (event.request_body, event.body_shed, event.requested_model) == (b"", True, "")


async def test_metadata_only_projects_keep_no_bodies(start):
    async with start(full_logging=False) as rig:
        await rig.request(body=body("nope"))
        (event,) = rig.events()
    assert (event.request_body, event.response_body, event.body_shed) == (b"", b"", False)
    assert (event.logging_mode, event.requested_model) == ("metadata_only", "nope")


@pytest.mark.parametrize(("limit", "kept"), [(0, PER_MINUTE), (3, 3)])
async def test_refusals_of_one_key_are_recorded_up_to_a_limit(start, limit, kept):
    async with start(requests_per_minute=limit) as rig:
        refusals = rig.server._app.refusals
        started_s = time.monotonic()
        for _ in range(2 * kept):
            await rig.request(body=body("nope"))
        refilled = (time.monotonic() - started_s) * kept / 60
        recorded = len(rig.events())
        assert kept <= recorded <= kept + refilled + 1
        assert recorded + refusals.skipped == 2 * kept
