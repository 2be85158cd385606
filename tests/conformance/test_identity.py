"""Names and headers: request ids, rate limits, what is stripped in either direction, the list of models, CORS."""

from __future__ import annotations

import re

import openai
import pytest

from modelux_providers.simulator.calls import fingerprint
from modelux_providers.simulator.scenario import Behaviour

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ENDPOINT = "/v1/chat/completions"
ID = r"req_[0-9a-hjkmnp-tv-z]{26}"
ANSWERS = [
    pytest.param("POST", ENDPOINT, CHAT, {}, 200, id="an answer"),
    pytest.param("POST", ENDPOINT, CHAT | {"stream": True}, {}, 200, id="a stream"),
    pytest.param("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}, {}, 200, id="vectors"),
    pytest.param("GET", "/v1/models", b"", {}, 200, id="the models"),
    pytest.param("GET", "/v1/models/nope", b"", {}, 404, id="no such model"),
    pytest.param("POST", ENDPOINT, b"{", {}, 400, id="broken JSON"),
    pytest.param("POST", ENDPOINT, CHAT, {"authorization": None}, 401, id="no key"),
    pytest.param("POST", "/nowhere", CHAT, {}, 404, id="no such path"),
    pytest.param("PUT", ENDPOINT, CHAT, {}, 405, id="a method nobody serves"),
    pytest.param("OPTIONS", ENDPOINT, b"", {}, 204, id="a preflight"),
    pytest.param("POST", ENDPOINT, CHAT, {"host": "a/b"}, 400, id="a bad host"),
    pytest.param("POST", ENDPOINT, CHAT, {"x-large": "x" * 40_000}, 431, id="a large head"),
    pytest.param("POST", ENDPOINT, CHAT, {"content-encoding": "br"}, 415, id="an unknown encoding"),
    pytest.param(
        "POST",
        ENDPOINT,
        CHAT | {"messages": [{"role": "user", "content": "[[sim: status=500]]"}]},
        {},
        500,
        id="a failure of the provider",
    ),
]


@pytest.mark.conformance(49)
@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), ANSWERS)
async def test_every_answer_has_a_request_id_of_ours(rig, method, path, body, headers, status):
    ids = set()
    for _ in range(2):
        answer = await rig.post(body, path, method=method, headers=headers)
        assert answer.status == status
        assert re.fullmatch(ID, answer.headers["x-request-id"])
        ids.add(answer.headers["x-request-id"])
    assert len(ids) == 2


@pytest.mark.conformance(49)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_providers_id_comes_in_a_header_of_its_own(rig, stream):
    answer = await rig.chat(stream=stream)
    direct = await rig.directly()
    assert answer.headers["x-modelux-provider-request-id"] == direct.headers["x-request-id"]
    assert answer.headers["x-request-id"] != direct.headers["x-request-id"]
    failed = await rig.chat("[[sim: status=500]]", stream=stream)
    assert failed.headers["x-modelux-provider-request-id"].startswith("req_")


@pytest.mark.conformance(49)
async def test_anthropics_id_too(rig):
    answer = await rig.chat(model="claude-sonnet-4-5")
    assert answer.headers["x-modelux-provider-request-id"].startswith("req_")


@pytest.mark.conformance(49)
@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), ANSWERS[:9])
async def test_the_callers_own_id_is_given_back(rig, method, path, body, headers, status):
    given = dict(headers) | {"x-client-request-id": "mine-42"}
    answer = await rig.post(body, path, method=method, headers=given)
    if method in ("POST", "GET"):
        assert answer.headers["x-client-request-id"] == "mine-42"


@pytest.mark.conformance(49)
async def test_the_sdk_knows_the_request_id(rig):
    async with rig.sdk() as sdk:
        answer = await sdk.chat.completions.create(**CHAT)
        assert answer._request_id == (await rig.event()).request_id
        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.chat.completions.create(**CHAT | {"model": "nope"})
        assert caught.value.request_id.startswith("req_")


LIMITS = {f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset")}


def limits(answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}


@pytest.mark.conformance(50)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-4o", "@production"])
async def test_a_lone_providers_rate_limits_are_passed_on(rig, model, stream):
    answer = await rig.chat(model=model, stream=stream)
    assert limits(answer) == {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
    }


@pytest.mark.conformance(50)
@pytest.mark.parametrize("model", ["@production", "@both"])
async def test_one_of_several_providers_rate_limits_mean_nothing(start, model):
    async with start(rules={"gpt-4o": Behaviour(status=503)}) as rig:
        answer = await rig.chat(model=model)
        assert (answer.status, limits(answer)) == (200, {})


@pytest.mark.conformance(50)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_keys_own_limits_take_their_place(start, stream):
    async with start(key={"requests_per_minute": 60, "tokens_per_minute": 100_000}) as rig:
        answer = await rig.chat(stream=stream)
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        assert answer.headers["x-ratelimit-remaining-requests"] == "59"
        assert answer.headers["x-ratelimit-limit-tokens"] == "100000"
        assert set(limits(answer)) == LIMITS | {name.replace("requests", "tokens") for name in LIMITS}


@pytest.mark.conformance(50)
async def test_a_key_past_its_limit_is_told_when_to_come_back(start):
    async with start(key={"requests_per_minute": 2}) as rig:
        assert [(await rig.chat()).status for _ in range(3)] == [200, 200, 429]
        answer = await rig.chat()
        assert answer.error["code"] == "rate_limit_exceeded"
        assert 1 <= int(answer.headers["retry-after"]) <= 31
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert len(rig.calls()) == 2


@pytest.mark.conformance(51)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"])
async def test_nothing_of_the_providers_household_reaches_the_caller(start, model, status, stream):
    async with start(rules={model: Behaviour(leak_headers=True, status=0 if status == 200 else status)}) as rig:
        answer = await rig.chat(model=model, stream=stream)
        assert answer.status == status
        ours = {"content-type", "x-request-id", "connection", "cache-control", "x-accel-buffering"}
        ours |= {"content-length", "transfer-encoding", "x-modelux-attempts", "x-modelux-model", "x-modelux-provider"}
        ours |= {"x-modelux-cost-usd", "x-modelux-provider-request-id"} | LIMITS
        assert set(answer.headers) <= ours
        assert b"canary" not in answer.raw


@pytest.mark.conformance(51)
@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("gpt-4o", {"authorization": "openai"}),
        ("claude-sonnet-4-5", {"x-api-key": "anthropic", "anthropic-version": ""}),
        ("gemini-2.5-flash", {"x-goog-api-key": "google"}),
    ],
)
async def test_the_provider_sees_our_credential_and_nothing_of_the_callers(rig, model, own):
    given = {
        "openai-organization": "org-caller",
        "openai-project": "proj-caller",
        "cookie": "session=caller",
        "x-api-key": "sk-caller",
        "x-forwarded-for": "10.1.1.1",
        "user-agent": "caller/1",
        "x-stainless-lang": "python",
        "te": "trailers",
        "proxy-authorization": "Basic Y2FsbGVy",
    }
    assert (await rig.chat(model=model, headers=given)).status == 200
    sent = dict(rig.calls()[0].headers)
    assert set(sent) == {"host", "accept-encoding", "content-type", "content-length", *own}
    assert "caller" not in str(sent)
    for name, provider in own.items():
        if provider:
            assert sent[name] == f"fingerprint {fingerprint(f'sk-{provider}-0123456789abcdef')}"


@pytest.mark.conformance(51)
@pytest.mark.parametrize(
    ("model", "name"), [("gpt-4o", "openai-beta"), ("claude-sonnet-4-5", "anthropic-beta"), ("gemini-2.5-flash", "")]
)
async def test_a_beta_is_asked_for_at_the_provider_that_has_it(rig, model, name):
    given = {"openai-beta": "assistants=v2", "anthropic-beta": "context-1m-2025-08-07"}
    assert (await rig.chat(model=model, headers=given)).status == 200
    sent = dict(rig.calls()[0].headers)
    assert {each: sent[each] for each in given if each in sent} == ({name: given[name]} if name else {})


@pytest.mark.conformance(55)
async def test_the_list_of_models_holds_slugs_and_models_of_the_key(rig):
    answer = await rig.get("/v1/models")
    assert answer.status == 200
    body = answer.json()
    assert body["object"] == "list"
    assert all(set(each) == {"id", "object", "created", "owned_by"} for each in body["data"])
    ids = [each["id"] for each in body["data"]]
    assert ids[:4] == ["@both", "@climb", "@first", "@production"]
    assert {"gpt-4o", "meta/llama-3", "gemini-2.5-flash"} < set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.conformance(55)
async def test_a_key_for_few_models_sees_and_calls_only_those(start):
    async with start(key={"allowed": frozenset({"@production", "gpt-4o"})}) as rig:
        answer = await rig.get("/v1/models")
        assert [each["id"] for each in answer.json()["data"]] == ["@production", "gpt-4o"]
        assert (await rig.get("/v1/models/spare")).status == 404
        refused = await rig.chat(model="spare")
        assert (refused.status, refused.error["code"]) == (403, "model_not_allowed")
        assert (await rig.chat(model="@production")).status == 200
        assert (await rig.chat(model="gpt-4o")).status == 200


@pytest.mark.conformance(55)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("@production", "@production"),
        ("%40production", "@production"),
        ("@production:3", "@production:3"),
        ("meta/llama-3", "meta/llama-3"),
        ("meta%2Fllama-3", "meta/llama-3"),
        ("meta/llama-3:openai", "meta/llama-3:openai"),
    ],
)
async def test_one_model_by_name_with_slashes_and_at_signs(rig, path, name):
    answer = await rig.get(f"/v1/models/{path}")
    assert (answer.status, answer.json()["id"], answer.json()["object"]) == (200, name, "model")


@pytest.mark.conformance(55)
async def test_the_sdk_lists_and_finds_models(rig):
    async with rig.sdk() as sdk:
        assert {"@production", "gpt-4o"} < {each.id async for each in sdk.models.list()}
        for name in ("@production", "meta/llama-3"):
            assert (await sdk.models.retrieve(name)).id == name
            answer = await sdk.chat.completions.create(**CHAT | {"model": name})
            assert answer.choices[0].message.content


@pytest.mark.conformance(56)
@pytest.mark.parametrize("path", [ENDPOINT, "/v1/embeddings", "/v1/models", "/v1/models/x"])
async def test_a_preflight_is_answered_without_a_key(rig, path):
    headers = {
        "authorization": None,
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    answer = await rig.post(b"", path, method="OPTIONS", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.conformance(56)
@pytest.mark.parametrize(("method", "path", "body", "headers", "status"), [*ANSWERS[:8], ANSWERS[-1]])
async def test_a_browser_may_read_every_answer(rig, method, path, body, headers, status):
    given = dict(headers) | {"origin": "https://app.example"}
    answer = await rig.post(body, path, method=method, headers=given)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.conformance(56)
@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1", "/openai/v1", "/openai", "/openai/v1/v1"])
async def test_the_prefix_may_be_missing_or_doubled(rig, prefix):
    assert (await rig.post(CHAT, f"{prefix}/chat/completions")).status == 200
    assert (await rig.get(f"{prefix}/models/gpt-4o")).status == 200
    answer = await rig.post({"model": "text-embedding-3-small", "input": "a"}, f"{prefix}/embeddings")
    assert answer.status == 200


@pytest.mark.conformance(56)
@pytest.mark.parametrize(
    "path", ["/v1/", "/", "//v1/models", "/v1/../v1/models", "/v2/models", "/v1/chat/completions/"]
)
async def test_paths_that_are_none_are_a_404(rig, path):
    answer = await rig.get(path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
