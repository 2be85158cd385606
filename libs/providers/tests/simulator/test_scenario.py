"""Scenarios, rules and directives choose the behaviour; recordings and draws are dependable."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.simulator import recorded
from modelux_providers.simulator.directives import apply
from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.responder import Incoming, Responder
from modelux_providers.simulator.scenario import Behaviour, InvalidScenario, Match, Rule, Scenario, Window, parse
from modelux_providers.simulator.script import End, Timing, Write, build, play
from modelux_providers.simulator.words import Event, Response, Tokens

CHAT = "/v1/chat/completions"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def responder(scenario: Scenario, clock: Clock | None = None, recordings=recorded.Recordings()) -> Responder:  # noqa: B008
    return Responder(scenario, recordings, clock or Clock(), lambda: None)


def status(desk: Responder, text: str = "Hello", *, model="gpt-4o", path=CHAT, key="k", header=(), stream=False) -> int:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()
    headers = [(b"authorization", f"Bearer {key}".encode()), *header]
    return desk.answer(Incoming("POST", path, headers, body, 1, False)).call.status


FAIL = Behaviour(status=500)


@pytest.mark.parametrize(
    ("match", "changes"),
    [
        pytest.param(Match(model="gpt-*"), {"model": "claude"}, id="model"),
        pytest.param(Match(key="k"), {"key": "other"}, id="key"),
        pytest.param(Match(path="/east/"), {}, id="path"),
        pytest.param(Match(header="x-run: 7"), {}, id="header"),
        pytest.param(Match(prompt="Hell"), {"text": "Bye"}, id="prompt"),
        pytest.param(Match(dialect="anthropic"), {}, id="dialect"),
        pytest.param(Match(stream=True), {}, id="stream"),
    ],
)
def test_a_rule_is_for_the_calls_that_it_matches(match, changes):
    desk = responder(Scenario(rules=(Rule(match=match, behaviour=FAIL),)))
    matching = {
        "path": {"path": "/east/v1/chat/completions"},
        "header": {"header": ((b"x-run", b"run 7: 7"), (b"x-run", b"x-run 7"))},
        "stream": {"stream": True},
    }
    field = next(name for name in match.__struct_fields__ if getattr(match, name) not in ("", None))
    if field == "header":
        assert status(desk, header=((b"x-run", b"it is 7"),)) == 500
        assert status(desk, header=((b"x-run", b"it is 8"),)) == 200
    elif field == "dialect":
        assert status(desk) == 200
        assert status(desk, path="/v1/messages") != 200
    elif field in matching:
        assert status(desk, **matching[field]) == 500
        assert status(desk) == 200
    else:
        assert status(desk) == 500
        assert status(desk, **changes) == 200


def test_a_window_opens_and_closes():
    clock = Clock()
    desk = responder(Scenario(rules=(Rule(behaviour=FAIL, window=Window(from_s=10, until_s=20)),)), clock)
    seen = []
    for clock.now in (100, 109.9, 110, 119.9, 120):
        seen.append(status(desk))
    assert seen == [200, 200, 500, 500, 200]


def test_a_rule_skips_and_ends():
    desk = responder(Scenario(rules=(Rule(behaviour=FAIL, skip=1, times=2),)))
    assert [status(desk) for _ in range(5)] == [200, 500, 500, 200, 200]


def test_a_rate_holds_over_equal_and_different_requests_and_repeats():
    scenario = Scenario(rules=(Rule(behaviour=FAIL, rate=0.2),))
    same = [status(responder_, "x") for responder_ in [responder(scenario)] for _ in range(1000)]
    desk = responder(scenario)
    different = [status(desk, f"x{number}") for number in range(1000)]
    again = responder(scenario)
    assert 150 < same.count(500) < 250
    assert 150 < different.count(500) < 250
    assert different == [status(again, f"x{number}") for number in range(1000)]
    other = responder(Scenario(seed=2, rules=scenario.rules))
    assert different != [status(other, f"x{number}") for number in range(1000)]


def test_later_rules_add_to_and_win_over_earlier_ones():
    slow, fail = Behaviour(ttft_ms=50, status=503), Behaviour(status=429)
    desk = responder(Scenario(rules=(Rule(behaviour=slow), Rule(behaviour=fail))))
    call = desk.answer(
        Incoming("POST", CHAT, [], b'{"model":"m","messages":[{"role":"user","content":"x"}]}', 1, False)
    ).call
    assert (call.status, call.rules) == (429, (0, 1))


def test_a_header_and_a_model_choose_a_named_behaviour():
    desk = responder(Scenario(named={"storm": FAIL}))
    assert status(desk, header=((b"x-simulator-scenario", b"storm"),)) == 500
    assert status(desk, model="gpt-4o-sim-storm") == 500
    assert status(desk, "now [[sim: storm]]") == 500
    assert status(desk, header=((b"x-simulator-scenario", b"calm"),)) == 400
    assert status(desk) == 200


@pytest.mark.parametrize(
    ("model", "prompt", "expected"),
    [
        ("gpt-4o", "plain", Behaviour()),
        ("gpt-4o-simple", "plain", Behaviour()),
        ("sim-cut-after-3", "", Behaviour(cut_after=3)),
        ("gpt-4o-sim-hang-headers", "", Behaviour(hang_headers=True)),
        ("openai/m-sim-status-429--retry-after-2", "", Behaviour(status=429, retry_after="2")),
        ("m-sim-retry-after-ms-150", "", Behaviour(retry_after_ms="150")),
        ("m-sim-usage-on_finish", "", Behaviour(usage="on_finish")),
        ("m", 'x [[sim: text="two words" split=1 bom]] y', Behaviour(text="two words", split=1, bom=True)),
        ("m", "[[sim: length_delta=-5 ttft_ms=1.5]]", Behaviour(length_delta=-5, ttft_ms=1.5)),
        ("m", "[[sim: rejects=a,b]]", Behaviour(rejects=("a", "b"))),
        ("m-sim-status-500", "[[sim: status=429]]", Behaviour(status=429)),
    ],
)
def test_reads_directives(model, prompt, expected):
    assert apply(Behaviour(), model, prompt, {}) == expected


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("m-sim-nothing", ""),
        ("m", "[[sim: nothing=1]]"),
        ("m", "[[sim: status=x]]"),
        ("m", '[[sim: text="]]'),
        ("m-sim-cut-after-x", ""),
    ],
)
def test_refuses_directives_that_are_none(model, prompt):
    with pytest.raises(InvalidScenario):
        apply(Behaviour(), model, prompt, {})
    assert status(responder(Scenario()), prompt or "x", model=model) == 400


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"sead": 1}', '{"rules": [{}]}', '{"behaviour": {"usage": "odd"}}', '{"behaviour": {"status": "x"}}'],
)
def test_refuses_scenarios_that_are_none(text):
    with pytest.raises(InvalidScenario):
        parse(text.encode())


def test_reads_a_scenario():
    written = {"match": {"model": "a*"}, "rate": 0.5, "window": {"from_s": 3}, "behaviour": {"status": 429}}
    rule = Rule(match=Match(model="a*"), rate=0.5, window=Window(from_s=3), behaviour=Behaviour(status=429))
    assert parse(json.dumps({"seed": 9, "rules": [written]}).encode()) == Scenario(seed=9, rules=(rule,))


def test_serves_recorded_answers_by_model_and_prompt(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [
        {"prompt": "Hello", "model": "gpt-4o", "answer": "for four", "output_tokens": 77, "idx": 1},
        {"prompt": "Hello", "answer": "for all"},
        {
            "prompt_hash": "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969",
            "model": "m",
            "answer": "hashed",
        },
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = recorded.load([path])
    assert found.find("gpt-4o", "Hello").answer == "for four"
    assert found.find("other", "Hello").answer == "for all"
    assert found.find("m", "Hello").answer == "hashed"
    assert found.find("m", "Bye") is None
    desk = responder(Scenario(), recordings=found)
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}'
    exchange = desk.answer(Incoming("POST", CHAT, [], body, 1, False))
    assert b"for four" in exchange.instant
    assert exchange.call.output_tokens == 77


def test_a_recorded_failure_is_of_its_model_and_prompt_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "Hello", "model": "gpt-4o", "answer": "", "status": 422}')
    desk = responder(Scenario(), recordings=recorded.load([path]))
    assert [status(desk), status(desk, model="m"), status(desk, "Bye"), status(desk)] == [422, 200, 200, 422]


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": "x"}', '{"answer": "x"}'])
def test_names_the_bad_line_of_a_recording(tmp_path, line):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n' + line)
    with pytest.raises(InvalidScenario, match=r"bad\.jsonl:2"):
        recorded.load([path])


@given(st.text(max_size=200))
def test_pieces_join_to_the_text(text):
    assert "".join(pieces(text)) == text


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    split=st.integers(1, 50),
    join=st.integers(1, 4),
    line_end=st.sampled_from(["lf", "crlf", "cr"]),
)
@settings(max_examples=60)
def test_no_way_of_writing_changes_bytes_tokens_or_events(sizes, split, join, line_end):
    """Splitting and joining move the borders between writes and nothing else."""
    events = tuple(Event(b"%d" % number * size, tokens=1) for number, size in enumerate(sizes))
    response = Response(200, Tokens(1, len(sizes)), b"", "text/event-stream", (), events)
    plain = _writes(response, Behaviour(line_end=line_end, framing="close"))
    other = _writes(response, Behaviour(line_end=line_end, framing="close", split=split, join=join))
    assert b"".join(write.data for write in plain) == b"".join(write.data for write in other)
    for count in ("tokens", "events"):
        assert sum(getattr(w, count) for w in plain) == sum(getattr(w, count) for w in other) == len(sizes)
    assert all(len(write.data) <= split for write in other[1:])


def _writes(response: Response, behaviour: Behaviour) -> list[Write]:
    parts = list(play(build(response, behaviour, "openai", b"{}"), behaviour, Timing()))
    assert isinstance(parts[-1], End)
    return [part for part in parts if isinstance(part, Write)]


def words(desk: Responder, model: str, text: str) -> list[str]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    exchange = desk.answer(Incoming("POST", CHAT, [(b"authorization", b"Bearer k")], body, 1, False))
    raw = exchange.instant or b"".join(part.data for part in exchange.parts if isinstance(part, Write))
    return json.loads(raw.split(b"\r\n\r\n", 1)[1])["choices"][0]["message"]["content"].split()


def alike(first: list[str], second: list[str]) -> float:
    return sum(a == b for a, b in zip(first, second, strict=False)) / max(len(first), len(second))


def test_models_with_few_words_of_their_own_answer_a_prompt_much_alike():
    def median(own: float) -> float:
        desk = responder(Scenario(behaviour=Behaviour(output_tokens=80, own_words=own)))
        pairs = [
            (words(desk, "gpt-4o", f"Question {n}"), words(desk, "gpt-4o-mini", f"Question {n}")) for n in range(40)
        ]
        return sorted(alike(*pair) for pair in pairs)[20]

    assert median(0.05) > 0.8 > 0.2 > median(1.0)


def test_a_sampled_model_answers_the_same_bytes_in_other_words_and_a_plain_one_does_not():
    sampled = responder(Scenario(behaviour=Behaviour(output_tokens=80, own_words=0.2)))
    plain = responder(Scenario(behaviour=Behaviour(output_tokens=80)))
    assert words(sampled, "gpt-4o", "Hi there") != words(sampled, "gpt-4o", "Hi there")
    assert words(plain, "gpt-4o", "Hi there") == words(plain, "gpt-4o", "Hi there")
