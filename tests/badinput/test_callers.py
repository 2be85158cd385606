"""Callers who may not, who repeat themselves, who leave, and who send names for headers (P25, P36, P38, P40, P41, P49,
P50).
"""

from __future__ import annotations

import gzip
import json
import resource
import socket
import struct
from dataclasses import replace

import pytest
from badinput_tenants import EXPIRED_KEY, KEY, MANAGEMENT_KEY, OTHER_KEY, REVOKED_KEY
from badinput_wire import CHAT, EMBEDDINGS, answers, chat, request, sim

from modelux_providers.simulator.scenario import Behaviour, Scenario

BODY = chat()
UNAUTHORIZED = [
    pytest.param(key, id=f"P25 {what}")
    for what, key in {
        "none": [],
        "empty": [""],
        "Bearer alone": ["Bearer"],
        "Bearer and blanks": ["Bearer  "],
        "Bearer and tab": ["Bearer \t"],
        "no scheme": [KEY],
        "Basic": ["Basic bWx4X3NrOg=="],
        "Token": [f"Token {KEY}"],
        "no space": [f"Bearer{KEY}"],
        "two spaces in": [f"Bearer {KEY} {KEY}"],
        "two headers": [f"Bearer {KEY}", f"Bearer {KEY}"],
        "two headers, one wrong": [f"Bearer {KEY}", "Bearer mlx_sk_no"],
        "a list": [f"Bearer {KEY}, Bearer {KEY}"],
        "unknown": ["Bearer mlx_sk_unknown"],
        "one character less": [f"Bearer {KEY[:-1]}"],
        "one character more": [f"Bearer {KEY}x"],
        "capitals": [f"Bearer {KEY.upper()}"],
        "SQL": ["Bearer ' OR '1'='1' --"],
        "SQL in the key": [f"Bearer {KEY}' OR 1=1 --"],
        "a LIKE pattern": ["Bearer mlx_sk_%"],
        "not ASCII": ["Bearer mlx_sk_\xe9\xff"],
        "a template": ["Bearer {{7*7}}"],
        "a format": ["Bearer %s%n{0}"],
        "20 KB": ["Bearer mlx_sk_" + "x" * 20_000],
        "a provider's key": ["Bearer sk-proj-abcdefghijklmnop"],
        "revoked": [f"Bearer {REVOKED_KEY}"],
        "expired": [f"Bearer {EXPIRED_KEY}"],
        "a management key": [f"Bearer {MANAGEMENT_KEY}"],
        "a JSON Web Token of no algorithm": ["Bearer eyJhbGciOiJub25lIn0.e30."],
        "null": ["Bearer null"],
        "undefined": ["Bearer undefined"],
    }.items()
]


@pytest.mark.parametrize("given", UNAUTHORIZED)
@pytest.mark.parametrize(("path", "method"), [(CHAT, "POST"), (EMBEDDINGS, "POST"), ("/v1/models", "GET")])
def test_nobody_enters_without_a_key_and_all_hear_the_same(live, given, path, method):
    headers = [("Authorization", value) for value in given]
    answer = live.refused(
        request(BODY if method == "POST" else b"", path, method, headers, key=None), 401, "invalid_api_key"
    )
    other = live.answer(request(BODY if method == "POST" else b"", path, method, key="mlx_sk_none"))
    assert answer.body == other.body
    assert answer.headers.keys() == other.headers.keys()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        pytest.param("Authorization: Bearer " + "x" * 2**20, 431, id="P25 1 MiB"),
        pytest.param(f"Authorization: Bearer\r\n {KEY}", 400, id="P25 a line break"),
        pytest.param(f"Authorization: Bearer {KEY}\0", 400, id="P25 NUL"),
        pytest.param(f"Authorization : Bearer {KEY}", 400, id="P25 a space before the colon"),
        pytest.param(f"X-A: b\rAuthorization: Bearer {KEY}", 400, id="P25 a bare carriage return"),
    ],
)
def test_a_key_that_no_header_can_hold(live, line, status):
    sent = request(BODY, key=None).replace(b"\r\n\r\n", f"\r\n{line}\r\n\r\n".encode(), 1)
    answer = live.answer(sent)
    assert answer.status == status
    assert not live.calls()


def test_a_key_sees_its_own_project_alone(live):
    """P25: another project's names are unknown, not forbidden."""
    answer = live.answer(request(chat(model="@production"), key=OTHER_KEY))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert live.answer(request(chat(model="claude-sonnet-4-5"), key=OTHER_KEY)).status == 404
    listed = live.answer(request(path="/v1/models", method="GET", key=OTHER_KEY)).body
    assert b"@production" not in listed
    assert b"@secret-plan" in listed
    assert not live.calls()


def test_nothing_of_a_body_is_read_before_the_key(live):
    """P25: whoever has no key learns nothing of what a body must be."""
    for body in (b"", b"[", b"[" * 100_000, b'{"model":"@nope"}', gzip.compress(b"x")):
        live.refused(request(body, key="mlx_sk_none"), 401, "invalid_api_key")


@pytest.fixture
def elsewhere():
    """A socket that listens where callers would like to be sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.0)
        yield listener


def assert_untouched(listener: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"])
@pytest.mark.parametrize("name", ["api_base", "base_url", "custom_llm_provider", "custom_host"])
@pytest.mark.parametrize("spaced", [False, True])
def test_a_body_cannot_choose_the_host(live, elsewhere, name, model, spaced):
    """P36: not sent on, not obeyed, and the caller is told."""
    url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/v1"
    body = json.dumps(json.loads(chat({name: url}, model=model)), indent=1 if spaced else None).encode()
    answer = live.answer(request(body))
    assert answer.status == 200, answer.raw[:500]
    assert name in answer.headers["x-modelux-dropped-fields"]
    assert url not in (live.calls()[-1].body or "")
    assert_untouched(elsewhere)


@pytest.mark.parametrize(
    "name", ["x-portkey-custom-host", "x-portkey-config", "x-api-base", "x-base-url", "x-custom-host", "x-target-url"]
)
def test_a_header_cannot_choose_the_host(live, elsewhere, name):
    """P36: the same for headers."""
    url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/v1"
    answer = live.answer(request(BODY, headers={name: url}))
    assert answer.status == 200
    assert name in answer.headers["x-modelux-ignored-headers"]
    assert url not in str(live.calls()[-1].headers)
    assert_untouched(elsewhere)


def test_no_image_is_fetched_here(live, elsewhere):
    """P27: the provider gets the address; we never look."""
    url = f"https://example.com:{elsewhere.getsockname()[1]}/a.png"
    prompt = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": url}}]
    assert live.answer(request(chat(prompt=prompt))).status == 200
    assert_untouched(elsewhere)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("x" * 256, id="P38 256 characters"),
        pytest.param("x" * 20_000, id="P38 20,000 characters"),
        pytest.param("", id="P38 empty"),
        pytest.param("a\tb", id="P38 a tab"),
        pytest.param("a\x80b", id="P38 a control character"),
    ],
)
def test_a_bad_idempotency_key_is_refused(live, key):
    live.refused(request(BODY, headers={"idempotency-key": key}), 400, "invalid_idempotency_key")


def test_an_idempotency_key_with_another_body(live):
    """P38."""
    headers = {"idempotency-key": "x" * 255}
    first = live.answer(request(BODY, headers=headers))
    again = live.answer(request(BODY, headers=headers))
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    live.refused(request(chat(prompt="other"), headers=headers), 422, "idempotency_key_reused")
    live.refused(request(BODY, EMBEDDINGS, headers=headers), 400, "missing_required_parameter")
    assert len(live.calls()) == 1


def test_an_idempotency_key_belongs_to_its_caller(live):
    """P38: the same key under another project is another key."""
    headers = {"idempotency-key": "shared"}
    live.answer(request(chat(prompt="one"), headers=headers))
    assert live.answer(request(chat(prompt="two"), headers=headers, key=OTHER_KEY)).status == 200
    assert len(live.calls()) == 2


def test_an_idempotency_key_in_use(live):
    """P38: the second waits its turn, the first is not disturbed, and afterwards the answer is there."""
    slow = request(chat(prompt=sim(ttft_ms=400)), headers={"idempotency-key": "k"})
    with live.connect() as sock:
        sock.sendall(slow)
        live.until(live.calls)
        second = live.answer(slow)
        assert (second.status, second.error["code"]) == (409, "idempotency_key_in_use")
        assert "retry-after" in second.headers
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert live.answer(slow).status == 200
    assert len(live.calls()) == 1


HANG = sim(hang_after=6)
LEAVINGS = [
    pytest.param({"prompt": sim(hang_headers="true")}, 0, "close", id="P40 after the request"),
    pytest.param({"prompt": sim(hang_headers="true")}, 0, "reset", id="P40 by a reset"),
    pytest.param({"prompt": sim(hang_headers="true")}, 0, "half", id="P40 half closed"),
    pytest.param({"prompt": sim(hang_headers="true"), "extra": {"stream": True}}, 0, "close", id="P40 before a stream"),
    pytest.param({"prompt": HANG, "extra": {"stream": True}}, 1, "close", id="P40 within a stream"),
    pytest.param({"prompt": HANG, "extra": {"stream": True}}, 1, "reset", id="P40 within a stream, by a reset"),
    pytest.param({"prompt": HANG, "extra": {"stream": True}}, 1, "half", id="P40 within a stream, half closed"),
    pytest.param({"prompt": sim(endless="true", per_token_ms=1), "extra": {"stream": True}}, 1, "close", id="P40 busy"),
]


@pytest.mark.parametrize("model", ["gpt-4o", "@production", "claude-sonnet-4-5", "gemini-2.5-flash"])
@pytest.mark.parametrize(("asked", "read", "how"), LEAVINGS)
def test_the_provider_is_left_when_the_caller_leaves(live, asked, read, how, model):
    sock = live.connect()
    with sock:
        sock.sendall(request(chat(asked.get("extra"), model=model, prompt=asked["prompt"])))
        live.until(live.calls)
        if read:
            assert sock.recv(65536)
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half":
            sock.shutdown(socket.SHUT_WR)
            live.until(lambda: all(call.cancelled for call in live.calls()), 2.0)
    live.until(lambda: all(call.cancelled for call in live.calls()), 2.0)
    assert len(live.calls()) == 1
    (event,) = live.journal()
    assert (event.outcome, event.status) == ("cancelled", 499)
    assert event.cost_nano > 0


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"])
def test_a_caller_who_never_reads_is_left(hasty, model):
    """P41: the window stays shut, so writing ends after its time, and the provider is not kept busy."""
    asked = request(
        chat({"stream": True}, model=model, prompt=sim(endless="true", per_token_ms=0.05, output_tokens=96))
    )
    hasty.lane.deadlines = replace(hasty.lane.deadlines, total_s=60.0)
    with hasty.connect(receive_buffer=2048) as sock:
        sock.sendall(asked)
        hasty.until(lambda: hasty.calls() and hasty.calls()[0].ended != "open", 30.0)
        (call,) = hasty.calls()
        assert call.cancelled
    hasty.lane.deadlines = replace(hasty.lane.deadlines, total_s=1.0)


def test_thousands_of_end_users_leave_no_trace_in_memory(live):
    """P49: 10 MiB of names that callers made up go through, and less than a third of that may stay."""
    live.do(lambda: live.simulator.use(Scenario(keep_calls=10, behaviour=Behaviour(text="ok"))))

    def crowd(start: int, count: int) -> None:
        for first in range(start, start + count, 250):
            bodies = [
                chat({"user": f"{n}".zfill(500), "mlx:tags": {f"tag{n}-{t}": f"{n}".zfill(250) for t in range(14)}})
                for n in range(first, first + 250)
            ]
            sent = b"".join(request(body, headers={"connection": None}) for body in bodies[:-1])
            found = answers(live.raw(sent + request(bodies[-1])))
            assert [each.status for each in found] == [200] * 250

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    crowd(0, 2000)
    before = resident()
    crowd(2000, 2500)
    assert resident() - before < 3 * 2**20


def test_made_up_models_leave_no_trace_in_memory(live):
    """P49: names that are refused are not kept."""
    project = next(iter(live.tenants.projects.values()))
    kept = len(project.plain) + len(project.wire)
    sent = [request(chat(model=f"model-{n}"), headers={"connection": None}) for n in range(500)]
    found = answers(live.raw(b"".join(sent) + request(path="/v1/models", method="GET")))
    assert [each.status for each in found[:-1]] == [404] * 500
    assert len(project.plain) + len(project.wire) == kept


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param("a%0d%0ax-evil: 1", "a%0d%0ax-evil: 1", id="P50 percent"),
        pytest.param("a\\r\\nx-evil: 1", "a\\r\\nx-evil: 1", id="P50 backslashes"),
        pytest.param("\xe9\x85\x8d", "%C3%A9%C2%85%C2%8D", id="P50 not ASCII"),
        pytest.param("a\tb", "a%09b", id="P50 a tab"),
        pytest.param("x" * 10_000, "x" * 256, id="P50 10 KB"),
    ],
)
def test_what_is_echoed_in_a_header_is_encoded(live, given, shown):
    for body in (BODY, b"{"):
        answer = live.answer(request(body, headers={"x-client-request-id": given}))
        assert answer.headers["x-client-request-id"] == shown
        assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("team=a%0d%0ax-evil:1", id="P50 a tag with percents"),
        pytest.param("team=\xe9", id="P50 a tag not in UTF-8"),
        pytest.param("=,=,,=x", id="P50 empty names"),
        pytest.param("nonsense", id="P50 no value"),
        pytest.param("a=" + "b" * 10_000, id="P50 10 KB"),
        pytest.param(",".join(f"k{n}=v" for n in range(100)), id="P50 100 tags"),
        pytest.param("a=b\tc", id="P50 a tab"),
    ],
)
def test_tags_in_a_header_break_nothing(live, given):
    answer = live.answer(request(BODY, headers={"x-modelux-tags": given}))
    assert answer.status in (200, 400)
    assert "x-evil" not in answer.headers
    if answer.status == 400:
        assert answer.error["code"] == "invalid_value"


@pytest.mark.parametrize("tag", ["a\r\nx-evil: 1", "a\nb", "\u2028", "\x85"])
def test_a_tag_with_a_line_break_is_refused(live, tag):
    """P50."""
    live.refused(request(chat({"mlx:tags": {"team": tag}})), 400, "invalid_value")
    live.refused(request(chat({"user": "a\r\nb"})), 400, "invalid_value")
