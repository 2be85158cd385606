"""What passes untouched: unknown fields both ways, exact bytes, reasoning, usage details, images, embeddings."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from modelux_providers.simulator.scenario import Behaviour

USER = {"role": "user", "content": "hi"}
DIALECTS = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
ODD = (
    b'{ "model" : "%b",\n\t"messages":[{"role":"user","content":"Gr\\u00fc\xc3\x9fe \\/ \\"",'
    b'"x_extra":{"model":"x"}}],\r\n'
    b' "user":"u1","metadata":{"a":"b"},"store":false,"logit_bias":{"50256":-100},"prompt_cache_key":"k",'
    b'"prediction":{"type":"content","content":"x"},"service_tier":"flex","x_vendor":{"k":1,"k":2},'
    b'"seed":12345678901234567890,"x_big":12345678901234567890123,"x_decimal":0.10000000000000000001,"x_e":1E+2 }'
)


@pytest.mark.conformance(43)
async def test_an_openai_provider_gets_the_callers_bytes(rig):
    answer = await rig.post(ODD % b"gpt-4o")
    assert answer.status == 200
    assert rig.calls()[0].body.encode() == ODD % b"gpt-4o"


@pytest.mark.conformance(43)
async def test_only_the_name_of_the_model_is_replaced(rig):
    answer = await rig.post(ODD % b"@production")
    assert answer.status == 200
    assert rig.calls()[0].body.encode() == ODD % b"gpt-4o"


@pytest.mark.conformance(43)
async def test_a_stream_only_adds_that_usage_is_wanted(rig):
    body = ODD[:-2] + b', "stream" : true }'
    answer = await rig.post(body % b"gpt-4o")
    assert answer.status == 200
    added = b',"stream_options":{"include_usage":true}'
    assert rig.calls()[0].body.encode() == body[:-1] % b"gpt-4o" + added + b"}"


@pytest.mark.conformance(43)
@pytest.mark.parametrize("model", DIALECTS)
async def test_our_own_fields_are_taken_out(rig, model):
    body = {"model": model, "mlx:tags": {"team": "a"}, "messages": [USER], "mlx:end_user_id": "u1", "mlx:new": [1]}
    answer = await rig.post(body)
    assert answer.status == 200
    assert "mlx:" not in rig.calls()[0].body
    event = await rig.event()
    assert (dict(event.tags), event.end_user_id) == ({"team": "a"}, "u1")


@pytest.mark.conformance(43)
@pytest.mark.parametrize("model", DIALECTS[1:])
async def test_fields_another_dialect_does_not_have_are_named_in_a_header(rig, model):
    answer = await rig.chat(model=model, logit_bias={"1": 2}, x_vendor=1, store=True)
    assert answer.status == 200
    assert set(answer.headers["x-modelux-dropped-fields"].split(", ")) == {"logit_bias", "x_vendor", "store"}


@pytest.mark.conformance(43)
async def test_fields_that_would_choose_the_upstream_are_not_obeyed_and_that_is_told(rig):
    answer = await rig.chat(api_base="http://169.254.169.254/", base_url="http://x.example")
    assert answer.status == 200
    assert "api_base" not in rig.sent()
    assert set(answer.headers["x-modelux-dropped-fields"].split(", ")) == {"api_base", "base_url"}


@pytest.mark.conformance(44)
@pytest.mark.parametrize("model", ["gpt-4o", "@production"])
async def test_an_openai_providers_answer_passes_byte_for_byte(rig, model):
    prompt = "[[sim: vendor_fields=true azure=true text='Grüße 😀' reasoning='because']]"
    answer = await rig.chat(prompt, model=model)
    assert answer.body == (await rig.directly()).body
    assert b'"x_vendor_field":{"big":12345678901234567890123' in answer.body
    body = answer.json()
    assert (body["service_tier"], body["system_fingerprint"]) == ("default", "fp_simulator")
    assert body["choices"][0]["message"]["annotations"] == []
    assert body["choices"][0]["message"]["reasoning_content"] == "because"


@pytest.mark.conformance(44)
async def test_an_openai_providers_stream_passes_byte_for_byte(rig):
    prompt = "[[sim: vendor_fields=true azure=true text='Grüße 😀' reasoning='because']]"
    answer = await rig.stream(prompt, usage=True)
    assert answer.body == (await rig.directly()).body


@pytest.mark.conformance(44)
async def test_the_sdk_finds_unknown_fields(rig):
    async with rig.sdk() as sdk:
        answer = await sdk.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "[[sim: vendor_fields=true]]"}]
        )
    assert answer.model_extra["x_vendor_field"]["big"] == 12345678901234567890123


@pytest.mark.conformance(45)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", DIALECTS)
async def test_reasoning_is_told_apart_from_the_answer(rig, model, stream):
    answer = await rig.chat("[[sim: reasoning='because it is' text=42]]", model=model, stream=stream)
    if stream:
        reasoning = "".join(delta.get("reasoning_content") or "" for delta in answer.deltas())
        text = answer.text()
    else:
        message = answer.json()["choices"][0]["message"]
        reasoning, text = message["reasoning_content"], message["content"]
    assert (reasoning, text) == ("because it is", "42")


async def handed_back(rig, model: str, stream: bool) -> list[dict]:
    """The messages of a tool loop's second turn: the assistant's message just as it came, and the tool's result."""
    ask = {"model": model, "messages": [USER], "tools": [TOOL], "reasoning_effort": "low", "max_tokens": 8000}
    answer = await rig.post(ask | {"stream": stream})
    assert answer.status == 200, answer.body
    message = folded(answer) if stream else answer.json()["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sun"}
    return [USER, message, result]


def folded(answer) -> dict:
    """A stream's deltas as one message, lists by index, as the SDK does it."""
    message: dict = {"role": "assistant", "content": None, "tool_calls": []}
    for delta in answer.deltas():
        for block in delta.get("thinking_blocks") or ():
            message.setdefault("thinking_blocks", []).append({k: v for k, v in block.items() if k != "index"})
        for call in delta.get("tool_calls") or ():
            if "id" in call:
                message["tool_calls"].append({k: v for k, v in call.items() if k != "index"})
            else:
                message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return message


@pytest.mark.conformance(45)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_signed_thought_goes_back_to_anthropic(rig, stream):
    messages = await handed_back(rig, "claude-sonnet-4-5", stream)
    (thought,) = messages[1]["thinking_blocks"]
    assert thought["signature"]
    ask = {"messages": messages, "tools": [TOOL], "reasoning_effort": "low", "max_tokens": 8000}
    answer = await rig.post({"model": "claude-sonnet-4-5"} | ask)
    assert answer.status == 200, answer.body  # the simulator refuses a turn with a call and no signed thought
    assert rig.sent()["messages"][1]["content"][0] == thought
    assert rig.sent()["thinking"]["type"] == "enabled"


@pytest.mark.conformance(45)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_thought_signature_goes_back_to_gemini(rig, stream):
    messages = await handed_back(rig, "gemini-3-pro", stream)
    signature = messages[1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"]
    answer = await rig.post({"model": "gemini-3-pro", "messages": messages, "tools": [TOOL]})
    assert answer.status == 200, answer.body  # the simulator refuses a call without its signature
    (part,) = rig.sent()["contents"][1]["parts"]
    assert part["thoughtSignature"] == signature


@pytest.mark.conformance(45)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-3-pro"])
async def test_a_tool_loop_that_began_elsewhere_can_go_on(rig, model):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [USER, {"role": "assistant", "tool_calls": [call]}]
    messages.append({"role": "tool", "tool_call_id": "call_1", "content": "sun"})
    answer = await rig.post({"model": model, "messages": messages, "tools": [TOOL], "reasoning_effort": "low"})
    assert answer.status == 200, answer.body


@pytest.mark.conformance(46)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "told", "details", "written"),
    [
        ("gpt-4o", (100, 18), (40, 15), 0),
        ("claude-sonnet-4-5", (100, 18), (40, 0), 25),
        ("gemini-2.5-flash", (100, 18), (40, 15), 0),
    ],
)
async def test_usage_in_openais_sums(start, model, told, details, written, stream):
    behaviour = Behaviour(
        text="one two three",
        input_tokens=100,
        cached_tokens=40,
        cache_write_tokens=25 if written else 0,
        reasoning_tokens=15,
    )
    async with start(rules={model: behaviour}) as rig:
        answer = await rig.stream(model=model, usage=True) if stream else await rig.chat(model=model)
        usage = answer.chunks()[-1]["usage"] if stream else answer.json()["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (*told, sum(told))
        assert usage["prompt_tokens_details"]["cached_tokens"] == details[0]
        assert usage["completion_tokens_details"]["reasoning_tokens"] == details[1]
        recorded = (await rig.event()).usage
        assert (recorded.input, recorded.output) == told
        assert (recorded.cache_read, recorded.cache_write, recorded.reasoning) == (details[0], written, details[1])
        assert not recorded.estimated


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()


def picture(url: str) -> dict:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"messages": [{"role": "user", "content": parts}]}


@pytest.mark.conformance(47)
async def test_a_picture_in_the_body_is_not_encoded_again(rig):
    url = f"data:image/png;base64,{PNG}"
    for model in DIALECTS:
        answer = await rig.post({"model": model} | picture(url))
        assert answer.status == 200, answer.body
    assert rig.sent(0)["messages"] == picture(url)["messages"]
    assert rig.sent(1)["messages"][0]["content"][1] == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    }
    assert rig.sent(2)["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": PNG}}


@pytest.mark.conformance(47)
async def test_a_picture_elsewhere_is_fetched_by_the_provider_and_not_here(rig):
    url = "https://images.example.com/cat.png"
    for model in DIALECTS:
        assert (await rig.post({"model": model} | picture(url))).status == 200
    assert rig.sent(0)["messages"] == picture(url)["messages"]
    assert rig.sent(1)["messages"][0]["content"][1]["source"] == {"type": "url", "url": url}
    assert rig.sent(2)["contents"][0]["parts"][1] == {"fileData": {"mimeType": "image/png", "fileUri": url}}


@pytest.mark.conformance(47)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/x.png",
        "https://[::1]/x.png",
        "https://2130706433/x.png",
        "https://metadata.google.internal/x",
        "file:///etc/passwd",
        "ftp://example.com/x.png",
        "",
    ],
)
@pytest.mark.parametrize("model", DIALECTS)
async def test_nobody_is_sent_to_an_address_inside_a_network(rig, model, url):
    answer = await rig.post({"model": model} | picture(url))
    assert answer.status == 400
    assert answer.error["param"] == "messages[0].content[1].image_url.url"
    assert rig.calls() == []


def floats(text: str) -> tuple[float, ...]:
    data = base64.b64decode(text, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)


@pytest.mark.conformance(48)
@pytest.mark.parametrize("model", ["text-embedding-3-small", "gemini-embedding-001"])
async def test_vectors_in_either_encoding_are_the_same(rig, model):
    texts = ["zebra", "apple", "zebra", "mango"]
    answers = {}
    for encoding in ("float", "base64", None):
        body = {"model": model, "input": texts} | ({"encoding_format": encoding} if encoding else {})
        answer = await rig.post(body, "/v1/embeddings")
        assert answer.status == 200, answer.body
        data = answer.json()["data"]
        assert [(each["object"], each["index"]) for each in data] == [("embedding", n) for n in range(4)]
        vectors = [each["embedding"] for each in data]
        answers[encoding] = [floats(each) for each in vectors] if encoding == "base64" else vectors
        assert answer.json()["usage"]["prompt_tokens"] > 0
    assert answers["float"] == answers[None]
    packed = [struct.unpack(f"<{len(v)}f", struct.pack(f"<{len(v)}f", *v)) for v in answers["float"]]
    assert answers["base64"] == packed
    assert answers["float"][0] == answers["float"][2] != answers["float"][1]


@pytest.mark.conformance(48)
@pytest.mark.parametrize("model", ["text-embedding-3-small", "gemini-embedding-001"])
@pytest.mark.parametrize("dimensions", [None, 64])
async def test_the_sdks_default_encoding_is_answered(rig, model, dimensions):
    async with rig.sdk() as sdk:
        fields = {} if dimensions is None else {"dimensions": dimensions}
        answer = await sdk.embeddings.create(model=model, input=["a", "b"], **fields)
    assert rig.sent().get("encoding_format") == ("base64" if model.startswith("text") else None)
    lengths = {len(each.embedding) for each in answer.data}
    assert lengths == {dimensions or (1536 if model.startswith("text") else 3072)}
    assert all(isinstance(value, float) for value in answer.data[0].embedding)


@pytest.mark.conformance(48)
@pytest.mark.parametrize("given", ["text", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
async def test_every_kind_of_input_reaches_an_openai_provider(rig, given):
    body = {"model": "text-embedding-3-small", "input": given}
    answer = await rig.post(body, "/v1/embeddings")
    assert answer.status == 200
    assert rig.sent() == body
    assert answer.body == (await rig.directly()).body


@pytest.mark.conformance(48)
@pytest.mark.parametrize(
    ("model", "given", "param"),
    [("gemini-embedding-001", [1, 2], "input"), ("claude-sonnet-4-5", "a", "model"), ("gpt-4o", "", "input")],
)
async def test_embeddings_that_cannot_be_had_are_a_clear_400(rig, model, given, param):
    answer = await rig.post({"model": model, "input": given}, "/v1/embeddings")
    assert (answer.status, answer.error["param"]) == (400, param)
    assert rig.calls() == []


def test_the_odd_body_is_json():
    assert json.loads(ODD % b"x")["model"] == "x"
