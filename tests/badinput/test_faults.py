"""Providers that fail (F10-F16): another takes over in time, what was spent is counted, and nothing is cut short in
silence.
"""

from __future__ import annotations

import json
import socket
import time

import pytest
from badinput_wire import chat, request, sim

from modelux_providers.simulator.scenario import Behaviour

DIALECTS = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"]
FALLBACK = chat(model="@production")


def event_of(live, answer):
    (event,) = [each for each in live.journal() if each.request_id == answer.headers["x-request-id"]]
    return event


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("base_url", "codes"),
    [
        pytest.param("http://127.0.0.1:{port}/v1", {"connect_failed"}, id="F10 refused"),
        pytest.param("http://nowhere.invalid/v1", {"dns_failed", "connect_timeout"}, id="F10 no such name"),
        pytest.param("https://127.0.0.1:{plain}/v1", {"tls_failed", "connect_failed"}, id="F10 no TLS"),
        pytest.param("http://169.254.169.254/v1", {"blocked_address"}, id="F10 a metadata service"),
        pytest.param("http://0.0.0.0:{plain}/v1", {"blocked_address"}, id="F10 an address of nowhere"),
    ],
)
def test_another_takes_over_where_one_cannot_be_reached(hasty, base_url, codes, stream):
    hasty.send_to({"openai": base_url.format(port=closed_port(), plain=hasty.simulator.port)})
    answer = hasty.answer(request(chat({"stream": stream}, model="@production")))
    assert (answer.status, answer.headers["x-modelux-attempts"]) == (200, "2")
    event = event_of(hasty, answer)
    first, second = event.attempts
    assert first.error_code in codes
    assert (first.cost_nano, second.kind) == (0, "ok")
    assert first.error_code in event.trace_json.decode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Behaviour(reset_before=True), id="F10 a reset"),
        pytest.param(Behaviour(close_before=True), id="F10 a close"),
        pytest.param(Behaviour(reset_after=0), id="F10 a reset behind the head"),
        pytest.param(Behaviour(garbage=True), id="F15 no HTTP"),
        pytest.param(Behaviour(status=200, body="html"), id="F15 a page"),
        pytest.param(Behaviour(status=204), id="F15 no content"),
        pytest.param(Behaviour(hang_headers=True), id="F11 silence"),
        pytest.param(Behaviour(hang_after=0), id="F11 silence behind the head"),
        pytest.param(Behaviour(status=429, retry_after="3"), id="F13 a limit"),
        pytest.param(Behaviour(status=500), id="F13 an error"),
        pytest.param(Behaviour(encoding="bomb"), id="F14 a bomb"),
        pytest.param(Behaviour(header_bytes=200_000), id="F14 a large head"),
    ],
)
def test_another_takes_over_where_one_fails(hasty, behaviour, stream):
    hasty.behave(gpt_4o=behaviour)
    answer = hasty.answer(request(chat({"stream": stream}, model="@production")), within_s=8.0)
    assert answer.status == 200, answer.raw[:400]
    if not (
        stream and behaviour.hang_after == 0
    ):  # then the head went out with a comment, while the first was waited for
        assert answer.headers["x-modelux-model"] == "mistral-small-latest"
    first, second = event_of(hasty, answer).attempts
    assert (first.kind != "ok", second.kind) == (True, "ok")
    if behaviour.hang_headers:
        assert first.kind == "timeout"
        assert first.cost_nano > 0
        assert first.usage.estimated


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("how", ["hang_after", "cut_after", "reset_after"], ids=lambda each: f"F12 {each}")
def test_a_stream_that_stops_ends_with_an_error(hasty, model, how):
    """F12: never in silence, and nobody else is asked after the first token."""
    answer = hasty.answer(request(chat({"stream": True}, model=model, prompt=sim(**{how: 6, "output_tokens": 40}))))
    assert answer.status == 200
    assert answer.whole
    assert json.loads(answer.events[-1])["error"]["code"] in ("upstream_timeout", "upstream_cut")
    assert b"[DONE]" not in answer.events
    assert len(hasty.calls()) == 1
    event = event_of(hasty, answer)
    assert event.outcome == "error"
    assert event.cost_nano > 0


def test_no_second_provider_after_the_first_token(hasty):
    """F12: also where the policy has another."""
    hasty.behave(gpt_4o=Behaviour(cut_after=4, output_tokens=40))
    answer = hasty.answer(request(chat({"stream": True}, model="@production")))
    assert "error" in json.loads(answer.events[-1])
    assert [call.model for call in hasty.calls()] == ["gpt-4o"]


def test_a_provider_that_fails_on_and_on_is_left_alone(live):
    """F13: the circuit opens after a few failures; every caller is served all the same."""
    live.behave(gpt_4o=Behaviour(status=500))
    for _ in range(60):
        assert live.answer(request(FALLBACK)).status == 200
    asked = [call.model for call in live.calls()]
    assert asked.count("mistral-small-latest") == 60
    assert asked.count("gpt-4o") <= 0.2 * 60 + 5, asked.count("gpt-4o")


def test_half_the_calls_failing_costs_few_more(live):
    """F13: at most 1.2 calls for each request, beyond the first few."""
    live.do(lambda: None)
    live.behave(gpt_4o=Behaviour(status=503, retry_after="1"))
    statuses = [live.answer(request(FALLBACK)).status for _ in range(100)]
    assert set(statuses) == {200}
    assert len(live.calls()) <= 1.2 * 100 + 5


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        pytest.param("gpt-4o", "bytes_per_s=20", id="F14 20 bytes a second"),
        *[pytest.param(each, "endless=true per_token_ms=1", id=f"F14 {each} without end") for each in DIALECTS],
        *[pytest.param(each, "pad_bytes=1073741824 framing=chunked", id=f"F14 {each} 1 GiB") for each in DIALECTS],
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_end_is_cut_at_its_limit(hasty, model, behaviour, stream):
    asked = request(chat({"stream": stream}, model=model, prompt=f"hi [[sim: {behaviour}]]"))
    answer = hasty.answer(asked, within_s=15.0)
    if answer.status == 200:
        assert stream
        assert answer.events[-1] == b"[DONE]" or "error" in json.loads(answer.events[-1])
    else:
        assert answer.status in (502, 504), answer.raw[:300]
    hasty.until(lambda: all(call.ended != "open" for call in hasty.calls()))


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "behaviour",
    [
        "invalid_utf8=true",
        "surrogate=true",
        "invalid_utf8=true split=1",
        "line_end=crlf split=3",
        "done=missing",
        "bom=true",
    ],
    ids=lambda each: f"F15 {each}",
)
def test_bad_bytes_are_never_passed_on(live, model, stream, behaviour):
    """What reaches the caller is UTF-8 and JSON, or one clear 502."""
    answer = live.answer(request(chat({"stream": stream}, model=model, prompt=f"hi [[sim: {behaviour}]]")))
    assert answer.status in (200, 502), answer.raw[:300]
    answer.body.decode()
    if answer.status == 200:
        for document in answer.events if stream else [answer.body]:
            assert document == b"[DONE]" or json.loads(document)


def test_when_all_are_down_the_caller_is_told_and_served_again_soon_after(live):
    """F16: the circuits that opened meanwhile do not keep anybody out once a provider is back."""
    down = Behaviour(status=503)
    live.behave(gpt_4o=down, mistral=down)
    for _ in range(30):
        answer = live.answer(request(FALLBACK))
        assert answer.status == 503, answer.raw[:300]
        assert answer.error["message"]
    live.behave()
    began = time.monotonic()
    live.until(lambda: live.answer(request(FALLBACK)).status == 200, 30.0)
    assert time.monotonic() - began < 30.0
