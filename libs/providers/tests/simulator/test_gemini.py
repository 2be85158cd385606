"""Gemini's dialect: parts, signatures, finish reasons, usage, blocks, errors with details, embeddings."""

from __future__ import annotations

import pytest

from modelux_providers.simulator.scenario import Behaviour, Scenario

BASE = "/v1beta/models/gemini-2.5-flash"
ASK = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
TOOLS = [
    {
        "functionDeclarations": [
            {"name": "weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
        ]
    }
]


async def test_counts_thoughts_outside_the_candidates(sim, post):
    sim.use(Scenario(behaviour=Behaviour(input_tokens=50, cached_tokens=30, reasoning_tokens=20, output_tokens=10)))
    answer = (await post(sim, f"{BASE}:generateContent", ASK)).json()
    usage = answer["usageMetadata"]
    assert usage["promptTokenCount"] == 50
    assert usage["cachedContentTokenCount"] == 30
    assert usage["candidatesTokenCount"] == 10
    assert usage["thoughtsTokenCount"] == 20
    assert usage["totalTokenCount"] == 80
    assert answer["candidates"][0]["finishReason"] == "STOP"


async def test_streams_parts_with_growing_usage(sim, post):
    answer = await post(sim, f"{BASE}:streamGenerateContent?alt=sse", ASK)
    chunks = answer.chunks()
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks]
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"[DONE]" not in answer.body
    assert counts == sorted(counts)
    assert counts[-1] > 10
    assert [c["candidates"][0].get("finishReason") for c in chunks] == [None] * (len(chunks) - 1) + ["STOP"]


async def test_streams_one_array_without_sse(sim, post):
    answer = await post(sim, f"{BASE}:streamGenerateContent", ASK)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_signs_the_first_of_parallel_function_calls_and_wants_the_signature_back(sim, post):
    sim.use(Scenario(behaviour=Behaviour(tool_calls=2)))
    path = "/v1beta/models/gemini-3-pro:generateContent"
    parts = (await post(sim, path, {**ASK, "tools": TOOLS})).json()["candidates"][0]["content"]["parts"]
    assert [part["functionCall"]["name"] for part in parts] == ["weather", "weather"]
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    results = {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"sky": "blue"}}}] * 2}
    unsigned = [{"functionCall": part["functionCall"]} for part in parts]
    turns = [*ASK["contents"], {"role": "model", "parts": parts}, results]
    assert (await post(sim, path, {"contents": turns})).status == 200
    turns[1] = {"role": "model", "parts": unsigned}
    refused = await post(sim, path, {"contents": turns})
    assert refused.status == 400
    assert "thought_signature" in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", [f"{BASE}:generateContent", f"{BASE}:streamGenerateContent?alt=sse"])
async def test_blocks_a_prompt_without_candidates(sim, post, path):
    sim.use(Scenario(behaviour=Behaviour(block="SAFETY")))
    answer = await post(sim, path, ASK)
    body = answer.chunks()[0] if "sse" in path else answer.json()
    assert body["promptFeedback"]["blockReason"] == "SAFETY"
    assert "candidates" not in body


async def test_says_any_finish_reason(sim, post):
    sim.use(Scenario(behaviour=Behaviour(finish_reason="MALFORMED_FUNCTION_CALL")))
    answer = (await post(sim, f"{BASE}:generateContent", ASK)).json()
    assert answer["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


async def test_tells_how_long_to_wait_in_the_error_body(sim, post):
    sim.use(Scenario(behaviour=Behaviour(status=429, retry_after="34")))
    error = (await post(sim, f"{BASE}:generateContent", ASK)).json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"} in error["details"]


async def test_embeds_one_and_many(sim, post):
    content = {"content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 8}
    path = "/v1beta/models/gemini-embedding-001"
    one = (await post(sim, f"{path}:embedContent", content)).json()
    many = (await post(sim, f"{path}:batchEmbedContents", {"requests": [content, content]})).json()
    assert len(one["embedding"]["values"]) == 8
    assert many["embeddings"] == [one["embedding"]] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"contents": []},
        {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "user", "parts": []}]},
        {"contents": "x"},
    ],
)
async def test_refuses_what_gemini_refuses(sim, post, body):
    answer = await post(sim, f"{BASE}:generateContent", body)
    assert answer.status == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


async def test_does_not_know_a_key_with_400(sim, post):
    sim.use(Scenario(accepted_keys=("good",)))
    bad = await post(sim, f"{BASE}:generateContent", ASK, headers={"x-goog-api-key": "bad"})
    good = await post(sim, f"{BASE}:generateContent", ASK, headers={"x-goog-api-key": "good"})
    query = await post(sim, f"{BASE}:generateContent?key=good", ASK)
    assert (bad.status, good.status, query.status) == (400, 200, 200)
    assert sim.calls()[-1].path == f"{BASE}:generateContent?key=hidden"
