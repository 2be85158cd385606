"""Errors: the envelope, the provider's own code and status, what is never shown, and when to come back."""

from __future__ import annotations

import json
import time

import openai
import pytest

from modelux_providers.simulator.scenario import Behaviour, Match, Rule

ENDPOINT = "/v1/chat/completions"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
DIALECTS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
]
NO_KEY = {"authorization": None}


def sim(**settings: object) -> str:
    """A prompt that tells the simulated provider what to do."""
    return "hi [[sim: " + " ".join(f"{name}={value}" for name, value in settings.items()) + "]]"


def assert_envelope(body: bytes) -> None:
    answer = json.loads(body)
    assert list(answer) == ["error"]
    error = answer["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    assert error["code"] is None or isinstance(error["code"], str)


@pytest.mark.conformance(1)
@pytest.mark.parametrize(
    ("status", "method", "path", "headers", "body"),
    [
        pytest.param(401, "POST", ENDPOINT, NO_KEY, CHAT, id="no key"),
        pytest.param(400, "POST", ENDPOINT, {}, b"{", id="broken JSON"),
        pytest.param(400, "POST", ENDPOINT, {}, CHAT | {"temperature": 9}, id="a value out of range"),
        pytest.param(404, "POST", ENDPOINT, {}, CHAT | {"model": "nope"}, id="unknown model"),
        pytest.param(404, "POST", "/v1/chat/nonsense", {}, CHAT, id="unknown path"),
        pytest.param(405, "GET", ENDPOINT, {}, b"", id="wrong method"),
        pytest.param(405, "DELETE", ENDPOINT, {}, b"", id="unsupported method"),
        pytest.param(415, "POST", ENDPOINT, {"content-type": "text/plain"}, CHAT, id="not JSON"),
        pytest.param(400, "POST", ENDPOINT, {"host": "a/b"}, CHAT, id="bad host"),
        pytest.param(400, "POST", ENDPOINT, {}, CHAT | {"messages": []}, id="no messages"),
    ],
)
async def test_errors_of_ours_have_exactly_the_four_keys(rig, status, method, path, headers, body):
    answer = await rig.post(body, path, method=method, headers=headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert_envelope(answer.body)


@pytest.mark.conformance(1)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
@pytest.mark.parametrize("model", DIALECTS)
async def test_errors_of_providers_have_exactly_the_four_keys(rig, model, status, stream):
    answer = await rig.chat(sim(status=status), model=model, stream=stream)
    assert answer.status == status
    assert_envelope(answer.body)


@pytest.mark.conformance(2)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "context_length_exceeded"),
        (400, "content_filter"),
        (404, "model_not_found"),
        (429, "rate_limit_exceeded"),
        (429, "insufficient_quota"),
        (400, "a_code_nobody_knows"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_providers_code_param_and_type_are_kept(rig, status, code, stream):
    prompt = sim(status=status, error_code=code, error_param="messages", error_type="some_type")
    answer = await rig.chat(prompt, stream=stream)
    assert answer.status == status
    assert (answer.error["code"], answer.error["param"], answer.error["type"]) == (code, "messages", "some_type")


@pytest.mark.conformance(2)
@pytest.mark.parametrize(
    ("model", "status", "message", "code"),
    [
        ("claude-sonnet-4-5", 400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded"),
        ("claude-sonnet-4-5", 429, "slow", "rate_limit_exceeded"),
        ("claude-sonnet-4-5", 404, "model: nope", "model_not_found"),
        (
            "gemini-2.5-flash",
            400,
            "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).",
            "context_length_exceeded",
        ),
        ("gemini-2.5-flash", 429, "slow", "rate_limit_exceeded"),
        ("gemini-2.5-flash", 404, "nope", "model_not_found"),
    ],
)
async def test_other_dialects_errors_get_the_code_openai_uses(rig, model, status, message, code):
    answer = await rig.chat(sim(status=status, error_message=f'"{message}"'), model=model)
    assert (answer.status, answer.error["code"], answer.error["message"]) == (status, code, message)


@pytest.mark.conformance(3)
@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504])
async def test_the_providers_status_is_kept(rig, status):
    assert (await rig.chat(sim(status=status))).status == status


@pytest.mark.conformance(3)
@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_sdk_raises_the_exception_of_the_providers_status(rig, status, raised, stream):
    async with rig.sdk() as sdk:
        with pytest.raises(raised) as caught:
            await sdk.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": sim(status=status, error_code="some_code")}],
                stream=stream,
            )
    assert caught.value.code == "some_code"
    assert caught.value.request_id.startswith("req_")


@pytest.mark.conformance(4)
@pytest.mark.parametrize("model", [*DIALECTS, pytest.param("@production", id="after a fallback")])
async def test_a_providers_message_is_not_decorated(rig, model):
    answer = await rig.chat(sim(status=503, error_message='"Come back later."'), model=model)
    assert answer.error["message"] == "Come back later."
    assert answer.headers["x-modelux-attempts"] == ("2" if model == "@production" else "1")


@pytest.mark.conformance(5)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("model", DIALECTS)
async def test_a_refused_key_of_ours_does_not_look_like_the_callers(rig, model, status, stream):
    answer = await rig.chat(sim(status=status, error_code="invalid_api_key"), model=model, stream=stream)
    assert (answer.status, answer.error["code"]) == (502, "upstream_credentials_exhausted")
    assert "www-authenticate" not in answer.headers
    assert answer.headers["x-should-retry"] == "false"
    async with rig.sdk() as sdk:
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(
                model=model, messages=[{"role": "user", "content": sim(status=status)}], stream=stream
            )


@pytest.mark.conformance(6)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [*DIALECTS, pytest.param("@production", id="after a fallback")])
async def test_retry_after_reaches_the_caller_under_its_own_name(rig, model, stream):
    answer = await rig.chat(sim(status=429, retry_after=7), model=model, stream=stream)
    assert answer.status == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["retry-after-ms"] == "7000"


@pytest.mark.conformance(6)
async def test_the_sdk_waits_as_long_as_the_provider_asked(start):
    slow = Behaviour(status=429, retry_after_ms="250")
    async with start(rules=[Rule(match=Match(model="gpt-4o"), behaviour=slow, times=1)]) as rig:
        async with rig.sdk(max_retries=1) as sdk:
            began = time.monotonic()
            answer = await sdk.chat.completions.create(model="gpt-4o", messages=CHAT["messages"])
        assert time.monotonic() - began >= 0.25
        assert answer.choices[0].message.content
        assert [call.status for call in rig.calls()] == [429, 200]


@pytest.mark.conformance(7)
@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        pytest.param(sim(status=500, retry_after_ms=1), 3, id="a fault is retried"),
        pytest.param(sim(status=429, retry_after_ms=1), 3, id="a rate limit is retried"),
        pytest.param(sim(status=429, error_code="insufficient_quota"), 1, id="an empty account is not"),
        pytest.param(sim(status=401), 1, id="a refused credential of ours is not"),
    ],
)
async def test_the_sdk_retries_what_can_change_and_nothing_else(rig, prompt, calls):
    async with rig.sdk(max_retries=2) as sdk:
        with pytest.raises(openai.APIStatusError):
            await sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])
    assert len(rig.calls()) == calls


@pytest.mark.conformance(7)
@pytest.mark.parametrize("verdict", ["true", "false"])
async def test_a_providers_own_word_on_retrying_reaches_the_sdk(start, verdict):
    unsure = Behaviour(status=500, headers=(("x-should-retry", verdict),))
    async with start(rules={"gpt-4o": unsure}) as rig:
        answer = await rig.chat()
        assert answer.headers["x-should-retry"] == verdict


@pytest.mark.conformance(8)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("model", DIALECTS)
async def test_a_page_for_humans_is_never_forwarded(rig, model, status, stream):
    answer = await rig.chat(sim(status=status, body="html"), model=model, stream=stream)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert_envelope(answer.body)
    for part in (b"<", b"cloudflare", b"canary"):
        assert part not in answer.body


@pytest.mark.conformance(8)
@pytest.mark.parametrize("body", ["html", "text", "null", "truncated", "empty"])
@pytest.mark.parametrize("model", DIALECTS)
async def test_a_200_that_is_no_answer_is_an_error(rig, model, body):
    answer = await rig.chat(sim(body=body), model=model)
    assert (answer.status, answer.error["code"]) == (502, "upstream_invalid")
    assert_envelope(answer.body)


@pytest.mark.conformance(8)
async def test_plain_text_of_a_middlebox_is_wrapped(rig):
    answer = await rig.chat(sim(status=503, body="text"))
    assert (answer.status, answer.error["message"]) == (503, "upstream connect error")
    assert_envelope(answer.body)


@pytest.mark.conformance(9)
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        pytest.param(b'{"model":"gpt-4o","messages":[', "invalid_json", None, id="cut off"),
        pytest.param(b"[]", "invalid_json", None, id="an array"),
        pytest.param(b"", "invalid_json", None, id="empty"),
        pytest.param(b"\xff\xfe{}", "invalid_encoding", None, id="not UTF-8"),
        pytest.param(b'{"model":"gpt-4o"}', "missing_required_parameter", "messages", id="no messages"),
        pytest.param(
            b'{"messages":[{"role":"user","content":"hi"}]}', "missing_required_parameter", "model", id="no model"
        ),
        pytest.param(b'{"model":"gpt-4o","messages":"hi"}', "invalid_value", "messages", id="messages are text"),
    ],
)
async def test_a_bad_body_is_a_400_before_any_call(rig, body, code, param):
    answer = await rig.post(body)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert (answer.error["code"], answer.error["param"]) == (code, param)
    assert rig.calls() == []


@pytest.mark.conformance(9)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer nope", "Bearer sk-openai-0123456789abcdef", "Basic bWx4"]
)
async def test_without_a_valid_key_there_is_a_401_in_the_same_words(rig, given):
    answer = await rig.post(CHAT, headers={"authorization": given})
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert (await rig.post(CHAT, headers=NO_KEY)).error == answer.error
    assert rig.calls() == []


@pytest.mark.conformance(9)
async def test_the_sdk_sees_an_authentication_error(rig):
    async with rig.sdk() as sdk:
        with pytest.raises(openai.AuthenticationError) as caught:
            await sdk.with_options(api_key="wrong").models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.conformance(10)
@pytest.mark.parametrize(
    ("model", "code", "hint"),
    [
        pytest.param("gpt-4", "model_not_found", "gpt-4o", id="a model"),
        pytest.param("gpt-4o:anthropic", "model_not_found", "", id="a provider without it"),
        pytest.param("@prodction", "model_not_found", "@production", id="a slug"),
        pytest.param("@production:9", "config_version_not_found", "production", id="a version"),
        pytest.param("@retired", "config_archived", "retired", id="an archived slug"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model_is_a_404_that_says_what_is_near(rig, model, code, hint, stream):
    answer = await rig.chat(model=model, stream=stream)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, code, "model")
    assert hint in answer.error["message"]
    assert rig.calls() == []


@pytest.mark.conformance(11)
@pytest.mark.parametrize(
    ("model", "status", "shown", "code"),
    [
        pytest.param("claude-sonnet-4-5", 529, 503, "server_is_overloaded", id="Anthropic is overloaded"),
        pytest.param("gemini-2.5-flash", 503, 503, "server_is_overloaded", id="Gemini is unavailable"),
    ],
)
async def test_an_overloaded_provider_is_a_retryable_503(rig, model, status, shown, code):
    answer = await rig.chat(sim(status=status), model=model)
    assert (answer.status, answer.error["code"]) == (shown, code)


@pytest.mark.conformance(11)
async def test_geminis_retry_info_becomes_retry_after(start):
    async with start(rules={"gemini-2.5-flash": Behaviour(status=429, retry_after="34")}) as rig:
        answer = await rig.chat(model="gemini-2.5-flash")
        assert (answer.status, answer.headers["retry-after"]) == (429, "34")
        assert answer.error["code"] == "rate_limit_exceeded"


@pytest.mark.conformance(11)
async def test_azures_content_filter_keeps_its_details(rig):
    answer = await rig.chat(sim(status=400, error_code="content_filter", azure="true"))
    assert answer.status == 400
    assert answer.error["code"] == "content_filter"
    assert answer.error["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert answer.error["innererror"]["content_filter_result"]["hate"]["filtered"] is True


@pytest.mark.conformance(11)
async def test_an_overloaded_provider_is_left_for_the_next(start):
    policies = {
        "p": {"strategy": "fallback", "attempts": [{"model": "claude-sonnet-4-5"}, {"model": "gemini-2.5-flash"}]}
    }
    async with start(policies=policies, rules={"claude-*": Behaviour(status=529)}) as rig:
        answer = await rig.chat(model="@p")
        assert (answer.status, answer.headers["x-modelux-model"]) == (200, "gemini-2.5-flash")
        event = await rig.event()
        assert [(each.provider, each.kind, each.status) for each in event.attempts] == [
            ("anthropic", "status", 529),
            ("google", "ok", 200),
        ]
