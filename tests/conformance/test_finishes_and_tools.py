"""Why an answer ended, and tool calls: their reasons, fragments, arguments and choices in every dialect."""

from __future__ import annotations

import json

import pytest

from modelux_providers.simulator.scenario import Behaviour

MODELS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
]
EVERY_WAY = [*MODELS, pytest.param("@both", id="ensemble")]


def tool(name: str) -> dict:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": schema}}


TOOLS = [tool("weather"), tool("time")]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}


async def finish(rig, prompt, model, stream, **fields):
    """The finish reason in either mode, and whether there was output."""
    answer = await rig.chat(prompt, model=model, stream=stream, **fields)
    assert answer.status == 200, answer.body
    if stream:
        return answer.finishes()[-1], answer.text()
    (choice,) = answer.json()["choices"]
    return choice["finish_reason"], choice["message"]["content"]


@pytest.mark.conformance(29)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("a_reason_of_tomorrow", "stop"),
    ],
)
async def test_anthropics_stop_reasons(rig, said, meant, stream):
    reason, _ = await finish(rig, f"[[sim: finish_reason={said} text=42]]", "claude-sonnet-4-5", stream)
    assert reason == meant


@pytest.mark.conformance(29)
@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_tool_use_is_tool_calls(rig, stream):
    reason, text = await finish(rig, "hi", "claude-sonnet-4-5", stream, tools=TOOLS)
    assert (reason, text or None) == ("tool_calls", None)


@pytest.mark.conformance(30)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"),
    ],
)
async def test_geminis_finish_reasons(rig, said, meant, stream):
    reason, _ = await finish(rig, f"[[sim: finish_reason={said} text=42]]", "gemini-2.5-flash", stream)
    assert reason == meant


@pytest.mark.conformance(30)
@pytest.mark.parametrize("stream", [False, True])
async def test_geminis_stop_with_a_call_is_tool_calls(rig, stream):
    reason, _ = await finish(rig, "[[sim: finish_reason=STOP]]", "gemini-2.5-flash", stream, tools=TOOLS)
    assert reason == "tool_calls"


@pytest.mark.conformance(30)
async def test_geminis_malformed_call_is_an_error_and_no_stop(rig):
    answer = await rig.chat("[[sim: finish_reason=MALFORMED_FUNCTION_CALL]]", model="gemini-2.5-flash")
    assert (answer.status, answer.error["code"]) == (502, "malformed_function_call")


@pytest.mark.conformance(30)
async def test_geminis_malformed_call_ends_a_stream_with_an_error(start):
    behaviour = Behaviour(finish_reason="MALFORMED_FUNCTION_CALL", per_token_ms=1, text="one two three")
    async with start(rules={"gemini-*": behaviour}) as rig:
        answer = await rig.stream(model="gemini-2.5-flash")
        assert json.loads(answer.events()[-1])["error"]["code"] == "malformed_function_call"
        assert b'finish_reason":"' not in answer.body


@pytest.mark.conformance(30)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_that_gemini_blocks_is_an_empty_filtered_answer(rig, stream):
    reason, text = await finish(rig, "[[sim: block=PROHIBITED_CONTENT]]", "gemini-2.5-flash", stream)
    assert (reason, text) == ("content_filter", "")


def assembled(answer) -> dict[int, dict]:
    """Tool calls put together as clients do, each fragment checked."""
    calls: dict[int, dict] = {}
    for fragment in [each for delta in answer.deltas() for each in delta.get("tool_calls") or ()]:
        index = fragment["index"]
        if index not in calls:
            assert set(fragment) - {"extra_content"} == {"index", "id", "type", "function"}
            assert fragment["type"] == "function"
            assert fragment["id"]
            assert set(fragment["function"]) == {"name", "arguments"}
            calls[index] = {"id": fragment["id"], "name": fragment["function"]["name"], "arguments": ""}
        else:
            assert set(fragment) == {"index", "function"}
            assert set(fragment["function"]) == {"arguments"}
        calls[index]["arguments"] += fragment["function"]["arguments"]
    return calls


@pytest.mark.conformance(31)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("model", MODELS)
async def test_only_the_first_fragment_of_a_call_names_it(rig, model, count):
    answer = await rig.stream(f"[[sim: tool_calls={count}]]", model=model, tools=TOOLS)
    calls = assembled(answer)
    assert sorted(calls) == list(range(count))
    assert [calls[index]["name"] for index in range(count)] == ["weather", "time", "weather"][:count]
    assert len({call["id"] for call in calls.values()}) == count
    for call in calls.values():
        assert json.loads(call["arguments"])["city"]
    assert answer.finishes()[-1] == "tool_calls"


@pytest.mark.conformance(31)
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_the_sdk_puts_tool_calls_together(rig, model):
    async with rig.sdk() as sdk:
        stream = sdk.chat.completions.stream(
            model=model, messages=[{"role": "user", "content": "[[sim: tool_calls=2]]"}], tools=TOOLS
        )
        async with stream as events:
            final = await events.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["weather", "time"]
    assert all(json.loads(call.function.arguments)["city"] for call in calls)


@pytest.mark.conformance(31)
@pytest.mark.parametrize("stream", [False, True])
async def test_calls_that_gemini_did_not_name_get_ids_that_find_the_way_back(rig, stream):
    answer = await rig.chat("[[sim: tool_calls=2]]", model="gemini-2.5-flash", tools=TOOLS, stream=stream)
    if stream:
        ids = [call["id"] for _, call in sorted(assembled(answer).items())]
    else:
        ids = [call["id"] for call in answer.json()["choices"][0]["message"]["tool_calls"]]
    assert all(each.startswith("call_") for each in ids)
    assert len(set(ids)) == 2
    calls = [CALL | {"id": each} for each in ids]
    calls[1] = calls[1] | {"function": {"name": "time", "arguments": "{}"}}
    results = [{"role": "tool", "tool_call_id": each, "content": each} for each in reversed(ids)]
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": calls}, *results]
    back = await rig.post({"model": "gemini-2.5-flash", "messages": messages, "tools": TOOLS})
    assert back.status == 200
    parts = rig.sent()["contents"][-1]["parts"]
    answered = {part["functionResponse"]["name"]: part["functionResponse"]["response"] for part in parts}
    assert answered == {"weather": {"result": ids[0]}, "time": {"result": ids[1]}}


@pytest.mark.conformance(32)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("arguments", ["", '{"city": "Ul', "no JSON", '{"n": 12345678901234567890123, "x": 1.10}'])
async def test_arguments_are_text_and_stay_as_they_are(start, arguments, stream):
    async with start(rules={"gpt-4o": Behaviour(arguments=arguments)}) as rig:
        answer = await rig.chat(tools=TOOLS, stream=stream)
        if stream:
            assert assembled(answer)[0]["arguments"] == arguments
        else:
            (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
            assert call["function"]["arguments"] == arguments


@pytest.mark.conformance(32)
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        pytest.param("", b'"input":{}', id="empty"),
        pytest.param('{"n": 12345678901234567890123, "x": 1.10}', None, id="numbers no float can hold"),
        pytest.param('{"city": "Ul', b'"input":{"INVALID_JSON":"{\\"city\\": \\"Ul"}', id="cut off"),
    ],
)
async def test_anthropic_gets_arguments_as_an_object_of_the_same_text(rig, arguments, wanted):
    call = CALL | {"function": {"name": "weather", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = await rig.post({"model": "claude-sonnet-4-5", "messages": messages, "tools": TOOLS})
    assert answer.status == 200
    assert (wanted or b'"input":' + arguments.encode()) in rig.calls()[-1].body.encode()


@pytest.mark.conformance(33)
@pytest.mark.parametrize("order", ["in_order", "interleaved", "shuffled", "gapped"])
async def test_parallel_calls_keep_their_indices_in_any_order(rig, order):
    tidy = assembled(await rig.stream('[[sim: tool_calls=3 arguments=\'{"city": "Ulm"}\']]', tools=TOOLS))
    calls = assembled(
        await rig.stream(f'[[sim: tool_calls=3 arguments=\'{{"city": "Ulm"}}\' tool_order={order}]]', tools=TOOLS)
    )
    assert list(calls) == {"gapped": [0, 3, 6], "shuffled": [2, 1, 0]}.get(order, [0, 1, 2])
    names = [call["name"] for _, call in sorted(calls.items())]
    assert names == [call["name"] for _, call in sorted(tidy.items())]
    assert {call["arguments"] for call in calls.values()} == {'{"city": "Ulm"}'}


@pytest.mark.conformance(33)
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
async def test_anthropic_is_told_to_call_one_tool_at_a_time(rig, choice, sent):
    fields = {} if choice is None else {"tool_choice": choice}
    prompt = "[[sim: tool_calls=2]]"
    answer = await rig.chat(prompt, model="claude-sonnet-4-5", tools=TOOLS, parallel_tool_calls=False, **fields)
    assert answer.status == 200
    assert rig.sent()["tool_choice"] == sent
    assert len(answer.json()["choices"][0]["message"].get("tool_calls", ())) == (0 if choice == "none" else 1)


@pytest.mark.conformance(33)
async def test_a_provider_that_cannot_limit_parallel_calls_is_not_silently_asked(rig):
    answer = await rig.chat(model="gemini-2.5-flash", tools=TOOLS, parallel_tool_calls=False)
    assert answer.status == 200
    assert answer.headers["x-modelux-dropped-fields"] == "parallel_tool_calls"


NAMED = {"type": "function", "function": {"name": "time"}}


@pytest.mark.conformance(34)
@pytest.mark.parametrize(
    ("choice", "anthropic", "google"),
    [
        ("auto", {"type": "auto"}, {"mode": "AUTO"}),
        ("none", {"type": "none"}, {"mode": "NONE"}),
        ("required", {"type": "any"}, {"mode": "ANY"}),
        (NAMED, {"type": "tool", "name": "time"}, {"mode": "ANY", "allowedFunctionNames": ["time"]}),
    ],
)
async def test_tool_choice_in_each_dialects_words(rig, choice, anthropic, google):
    for model in ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"):
        answer = await rig.chat(model=model, tools=TOOLS, tool_choice=choice)
        calls = answer.json()["choices"][0]["message"].get("tool_calls") or []
        names = [call["function"]["name"] for call in calls]
        assert names == {"none": [], "auto": ["weather"], "required": ["weather"]}.get(str(choice), ["time"])
    assert rig.sent(0)["tool_choice"] == choice
    assert rig.sent(1)["tool_choice"] == anthropic
    assert rig.sent(2)["toolConfig"] == {"functionCallingConfig": google}
