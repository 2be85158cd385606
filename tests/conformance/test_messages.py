"""Messages and settings: instructions, turns, empty content, limits, sampling, several choices, logprobs, formats."""

from __future__ import annotations

import json

import pytest

from modelux_providers.simulator.scenario import Behaviour

USER = {"role": "user", "content": "hi"}
MODELS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": "{}"}} for n in (1, 2)]
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["answer", "why"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "result", "strict": True, "schema": SCHEMA}}


async def talk(rig, model, messages, **fields):
    answer = await rig.post({"model": model, "messages": messages} | fields)
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.conformance(35)
async def test_several_instructions_stay_several_and_in_order(rig):
    messages = [{"role": "system", "content": "one"}, {"role": "developer", "content": "two"}, USER]
    await talk(rig, "gpt-4o", messages)
    assert rig.sent()["messages"] == messages
    await talk(rig, "claude-sonnet-4-5", messages)
    assert rig.sent()["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert [turn["role"] for turn in rig.sent()["messages"]] == ["user"]
    await talk(rig, "gemini-2.5-flash", messages)
    assert rig.sent()["systemInstruction"]["parts"] == [{"text": "one"}, {"text": "two"}]


@pytest.mark.conformance(35)
async def test_anthropics_cache_marks_stay_on_the_instruction(rig):
    part = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    await talk(rig, "claude-sonnet-4-5", [{"role": "system", "content": [part]}, USER])
    assert rig.sent()["system"] == [part]


@pytest.mark.conformance(35)
@pytest.mark.parametrize(
    ("model", "turns"),
    [
        (
            "claude-sonnet-4-5",
            [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "<system>\nbe brief\n</system>"},
                        {"type": "text", "text": "go on"},
                    ],
                },
            ],
        ),
        (
            "gemini-2.5-flash",
            [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "hello"}]},
                {"role": "user", "parts": [{"text": "<system>\nbe brief\n</system>"}, {"text": "go on"}]},
            ],
        ),
    ],
)
async def test_an_instruction_in_mid_conversation_keeps_its_place_and_that_is_told(rig, model, turns):
    messages = [
        USER,
        {"role": "assistant", "content": "hello"},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "go on"},
    ]
    answer = await talk(rig, model, messages)
    assert (rig.sent().get("messages") or rig.sent()["contents"]) == turns
    assert answer.headers["x-modelux-emulated-fields"] == "messages[2].role"


@pytest.mark.conformance(36)
@pytest.mark.parametrize(("model", "field"), [("claude-sonnet-4-5", "messages"), ("gemini-2.5-flash", "contents")])
async def test_turns_of_the_same_role_become_one(rig, model, field):
    messages = [USER, {"role": "user", "content": "there"}, {"role": "assistant", "content": "hello"}, USER, USER]
    await talk(rig, model, messages)
    turns = rig.sent()[field]
    assert [turn["role"] for turn in turns] == ["user", "assistant" if field == "messages" else "model", "user"]
    parts = "content" if field == "messages" else "parts"
    assert [len(turn[parts]) for turn in turns] == [2, 1, 2]


@pytest.mark.conformance(36)
async def test_tool_results_stand_first_in_one_turn(rig):
    messages = [
        USER,
        {"role": "assistant", "content": "let me see", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        {"role": "user", "content": "and now?"},
    ]
    for model in ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"):
        await talk(rig, model, messages, tools=[TOOL])
    assert rig.sent(0)["messages"] == messages
    blocks = rig.sent(1)["messages"][-1]["content"]
    assert [(block["type"], block.get("tool_use_id")) for block in blocks] == [
        ("tool_result", "call_2"),
        ("tool_result", "call_1"),
        ("text", None),
    ]


@pytest.mark.conformance(36)
async def test_tool_results_stand_first_even_where_somebody_spoke_before_them(rig):
    said = {"role": "user", "content": "hurry"}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sun"} for call in CALLS]
    await talk(
        rig, "claude-sonnet-4-5", [USER, {"role": "assistant", "tool_calls": CALLS}, said, *results], tools=[TOOL]
    )
    blocks = rig.sent()["messages"][-1]["content"]
    assert [block["type"] for block in blocks] == ["tool_result", "tool_result", "text"]


@pytest.mark.conformance(36)
@pytest.mark.parametrize("empty", ["", "  ", [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]])
async def test_empty_texts_are_not_sent_to_who_rejects_them(rig, empty):
    messages = [USER, {"role": "assistant", "content": empty, "tool_calls": CALLS[:1]}]
    messages += [{"role": "tool", "tool_call_id": "call_1", "content": ""}, {"role": "user", "content": "go on"}]
    await talk(rig, "claude-sonnet-4-5", messages, tools=[TOOL])
    blocks = rig.sent()["messages"][1]["content"]
    assert [block for block in blocks if block["type"] == "text"] == (
        [{"type": "text", "text": "x"}] if isinstance(empty, list) else []
    )
    assert rig.sent()["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "call_1"}


@pytest.mark.conformance(37)
@pytest.mark.parametrize("message", [{"content": None}, {"content": ""}, {}])
@pytest.mark.parametrize("model", MODELS)
async def test_content_may_be_null_empty_or_missing_beside_tool_calls(rig, model, message):
    messages = [USER, {"role": "assistant", "tool_calls": CALLS[:1]} | message]
    messages.append({"role": "tool", "tool_call_id": "call_1", "content": "sun"})
    await talk(rig, model, messages, tools=[TOOL])
    if model == "gpt-4o":
        assert rig.sent()["messages"] == messages


@pytest.mark.conformance(37)
@pytest.mark.parametrize("model", MODELS)
async def test_an_answer_of_tool_calls_has_null_content(rig, model):
    answer = await talk(rig, model, [USER], tools=[TOOL])
    (choice,) = answer.json()["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"] is None
    assert choice["logprobs"] is None


@pytest.mark.conformance(37)
@pytest.mark.parametrize("model", ["gpt-4o", "@both"])
async def test_a_refusal_stays_where_it_is(rig, model):
    prompt = "[[sim: refusal='I will not']]"
    message = (await rig.chat(prompt, model="gpt-4o")).json()["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "I will not")
    deltas = (await rig.stream(prompt, model=model)).deltas()
    assert "".join(delta.get("refusal") or "" for delta in deltas) == "I will not"
    assert not any(delta.get("content") for delta in deltas)


@pytest.mark.conformance(38)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_reaches_each_provider_in_its_own_field(rig, name):
    for model in ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"):
        answer = await talk(rig, model, [USER], **{name: 5})
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert answer.json()["usage"]["completion_tokens"] == 5
    assert {key: rig.sent(0).get(key) for key in ("max_tokens", "max_completion_tokens") if key in rig.sent(0)} == {
        name: 5
    }
    assert rig.sent(1)["max_tokens"] == 5
    assert rig.sent(2)["generationConfig"]["maxOutputTokens"] == 5


@pytest.mark.conformance(38)
@pytest.mark.parametrize(("model", "limit"), [("claude-sonnet-4-5", 16384), ("claude-3-5-haiku", 8192)])
async def test_anthropic_gets_the_limit_that_it_demands(rig, model, limit):
    await talk(rig, model, [USER])
    assert rig.sent()["max_tokens"] == limit


@pytest.mark.conformance(38)
@pytest.mark.parametrize("model", MODELS)
async def test_both_limits_at_once_are_an_error(rig, model):
    answer = await rig.chat(model=model, max_tokens=5, max_completion_tokens=6)
    assert (answer.status, answer.error["param"]) == (400, "max_tokens")


@pytest.mark.conformance(39)
@pytest.mark.parametrize(
    ("model", "fields", "sent", "headers"),
    [
        ("claude-sonnet-4-5", {"temperature": 0.3}, {"temperature": 0.3}, {}),
        ("claude-sonnet-4-5", {"temperature": 1.7}, {"temperature": 1.0}, {"emulated": "temperature"}),
        ("claude-sonnet-4-5", {"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3}, {"dropped": "top_p"}),
        ("claude-sonnet-4-5", {"top_p": 0.9}, {"top_p": 0.9}, {}),
        ("claude-opus-4-7", {"temperature": 0.3}, {}, {"dropped": "temperature"}),
        ("claude-sonnet-4-5", {"temperature": 0.3, "reasoning_effort": "low"}, {}, {"dropped": "temperature"}),
        ("claude-sonnet-4-5", {"stop": "END"}, {"stop_sequences": ["END"]}, {}),
        ("claude-sonnet-4-5", {"stop": ["A", "\n", "B"]}, {"stop_sequences": ["A", "B"]}, {"dropped": "stop"}),
        ("claude-sonnet-4-5", {"stop": "\n\n"}, {}, {"dropped": "stop"}),
    ],
)
async def test_anthropics_sampling_is_kept_in_bounds_and_every_loss_is_told(rig, model, fields, sent, headers):
    answer = await rig.chat(model=f"{model}", **fields)
    assert answer.status == 200, answer.body
    names = ("temperature", "top_p", "stop_sequences")
    assert {name: rig.sent()[name] for name in names if name in rig.sent()} == sent
    found = {kind: answer.headers.get(f"x-modelux-{kind}-fields") for kind in ("dropped", "emulated")}
    assert {kind: told for kind, told in found.items() if told} == headers


@pytest.mark.conformance(39)
async def test_geminis_sampling_and_stops(rig):
    answer = await rig.chat(model="gemini-2.5-flash", temperature=1.7, top_p=0.9, stop="END", seed=7)
    assert answer.status == 200
    assert "x-modelux-dropped-fields" not in answer.headers
    assert rig.sent()["generationConfig"] == {"temperature": 1.7, "topP": 0.9, "stopSequences": ["END"], "seed": 7}


@pytest.mark.conformance(39)
@pytest.mark.parametrize("stop", ["END", ["A", "B"], ["\n"], None])
async def test_openais_stops_pass_as_they_are(rig, stop):
    await talk(rig, "gpt-4o", [USER], stop=stop)
    assert rig.sent()["stop"] == stop


@pytest.mark.conformance(40)
@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-flash", "@both"])
async def test_several_choices_and_the_sum_of_their_usage(rig, model):
    answer = await rig.chat("[[sim: text='one two three']]", model=model, n=3)
    assert answer.status == 200
    body = answer.json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] == 9


@pytest.mark.conformance(40)
@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-flash", "@both"])
async def test_streamed_choices_are_told_apart_by_index(rig, model):
    answer = await rig.stream("[[sim: text='one two three']]", model=model, n=3, usage=True)
    assert [answer.text(index) for index in range(3)] == ["one two three"] * 3
    assert answer.chunks()[-1]["usage"]["completion_tokens"] == 9


@pytest.mark.conformance(40)
@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_where_there_is_one_are_a_clear_400(rig, stream):
    answer = await rig.chat(model="claude-sonnet-4-5", n=2, stream=stream)
    assert (answer.status, answer.error["param"], answer.error["type"]) == (400, "n", "invalid_request_error")
    assert rig.calls() == []


@pytest.mark.conformance(41)
@pytest.mark.parametrize("model", ["gpt-4o", "@production", "@both"])
async def test_logprobs_pass_in_both_modes(rig, model):
    prompt = "[[sim: text='one two']]"
    whole = await rig.chat(prompt, model=model, logprobs=True, top_logprobs=2)
    tokens = whole.json()["choices"][0]["logprobs"]["content"]
    assert [token["token"] for token in tokens] == ["one", " two"]
    assert [len(token["top_logprobs"]) for token in tokens] == [2, 2]
    stream = await rig.stream(prompt, model=model, logprobs=True, top_logprobs=2)
    streamed = [
        token
        for chunk in stream.chunks()
        for choice in chunk["choices"]
        for token in (choice.get("logprobs") or {}).get("content") or ()
    ]
    assert streamed == tokens


@pytest.mark.conformance(41)
async def test_absent_logprobs_stay_null(rig):
    assert (await rig.chat()).json()["choices"][0]["logprobs"] is None


@pytest.mark.conformance(41)
@pytest.mark.parametrize(("logprob", "served"), [(-0.05, "gpt-4o"), (-2.0, "spare")])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_cascade_weighs_logprobs(start, logprob, served, stream):
    async with start(rules={"gpt-4o": Behaviour(logprob=logprob)}) as rig:
        answer = await rig.chat(model="@climb", logprobs=True, stream=stream)
        assert answer.headers["x-modelux-model"] == served


@pytest.mark.conformance(42)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "emulated"),
    [
        ("gpt-4o", None),
        ("claude-sonnet-4-5", None),
        ("gemini-2.5-flash", None),
        ("claude-3-5-haiku", "response_format"),
    ],
)
async def test_an_answer_follows_the_schema_and_emulation_is_told(rig, model, emulated, stream):
    answer = await rig.chat(model=model, response_format=FORMAT, stream=stream)
    assert answer.status == 200, answer.body
    text = answer.text() if stream else answer.json()["choices"][0]["message"]["content"]
    assert set(json.loads(text)) == {"answer", "why"}
    assert isinstance(json.loads(text)["answer"], int)
    assert (answer.finishes()[-1] if stream else answer.json()["choices"][0]["finish_reason"]) == "stop"
    assert answer.headers.get("x-modelux-emulated-fields") == emulated
    sent = rig.sent()
    if model == "gpt-4o":
        assert sent["response_format"] == FORMAT
    elif model == "claude-sonnet-4-5":
        assert sent["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    elif emulated:
        assert (sent["tools"][0]["name"], sent["tool_choice"]) == ("result", {"type": "tool", "name": "result"})
    else:
        config = sent["generationConfig"]
        assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", SCHEMA)


@pytest.mark.conformance(42)
async def test_a_json_object_is_asked_for_in_each_dialects_words(rig):
    wanted = {"type": "json_object"}
    for model in ("gpt-4o", "gemini-2.5-flash"):
        answer = await talk(rig, model, [USER], response_format=wanted)
        assert isinstance(json.loads(answer.json()["choices"][0]["message"]["content"]), dict)
        assert "x-modelux-emulated-fields" not in answer.headers
    answer = await talk(rig, "claude-sonnet-4-5", [USER], response_format=wanted)
    assert answer.headers["x-modelux-emulated-fields"] == "response_format"
    assert "JSON" in rig.sent()["system"][-1]["text"]
