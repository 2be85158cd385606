"""Rules of any text, calendar, arithmetic and logic: properties that hold for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from routing_core.errors import InvalidConfig
from routing_core.pricing import Price
from routing_core.rules import RuleError, compile_rule, environment
from routing_core.types import Request, Target
from routing_core.world import Budget, Health, Offer, World

GPT = Target("gpt-4o", "openai", "pc_1")


AZURE = Target("gpt-4o", "azure", "pc_2")


MINI = Target("gpt-4o-mini", "openai", "pc_1")


WORLD = World(
    offers={
        "gpt-4o": (
            Offer(GPT, Price(2_500_000_000, 10_000_000_000)),
            Offer(AZURE, Price(2_600_000_000, 11_000_000_000)),
        ),
        "gpt-4o-mini": (Offer(MINI, Price(150_000_000, 600_000_000)),),
        "local": (Offer(Target("local", "ollama", "pc_3"), None),),
    },
    health={
        GPT: Health(state="open", p50_ms=90, error_rate=0.9, samples=40),
        AZURE: Health(p50_ms=400, ttft_ms=120, error_rate=0.01, samples=40),
    },
    budgets=(Budget("bud_team", 100_000_000_000, 95_000_000_000), Budget("bud_all", 1_000_000_000_000, 10_000_000_000)),
)


REQUEST = Request(
    "req_1",
    "proj_1",
    model="gpt-4o",
    stream=True,
    input_tokens=1000,
    max_tokens=500,
    needs=frozenset({"tools", "vision"}),
    tags={"team": "search", "tier": "gold", "priority": "7", "__proto__": "x", "big": "9" * 30},
    key_id="key_1",
    at_ms=1_763_645_400_000,  # Thursday 2025-11-20 13:30 UTC
)


def evaluate(text: str, request: Request = REQUEST, world: World = WORLD) -> bool | RuleError:
    return compile_rule(text).evaluate(environment(request, world))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_the_calendar_is_that_of_datetime(moment: datetime, offset: int) -> None:
    moment = moment.replace(tzinfo=UTC)
    at_ms = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    there = moment.astimezone(timezone(timedelta(minutes=offset)))
    parts = {
        "getFullYear": there.year,
        "getMonth": there.month - 1,
        "getDate": there.day,
        "getDayOfMonth": there.day - 1,
        "getDayOfWeek": there.isoweekday() % 7,
        "getHours": there.hour,
        "getMinutes": there.minute,
        "getSeconds": there.second,
    }
    text = " && ".join(f"now.{name}('{zone}') == {value}" for name, value in parts.items())
    assert evaluate(text, Request("r", "p", at_ms=at_ms)) is True


FRAGMENTS = [
    "model",
    "tags",
    ".",
    "team",
    "[",
    "]",
    "(",
    ")",
    "'a'",
    "1",
    "1.5",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "<",
    "==",
    "in",
    "?",
    ":",
    ",",
    "size",
    "has",
    "needs",
    "exists",
    "n",
    "null",
    "true",
    "now",
    "getHours",
    "int",
    "matches",
    "budget",
    "used_fraction",
    "latency_ms",
    "hour",
    " ",
    "\\",
    '"',
    "\n",
    "//",
    "é",
    "\u202e",
    "{",
]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(" ".join)))
def test_any_text_is_a_rule_or_refused_with_a_column(text: str) -> None:
    refusal: InvalidConfig | None = None
    try:
        rule = compile_rule(text)
    except InvalidConfig as error:
        refusal = error
    if refusal is not None:
        assert "column " in refusal.where
        assert refusal.message
        return
    assert isinstance(rule.evaluate(environment(REQUEST, WORLD)), bool | RuleError)


INTS = st.integers(-20, 20)


def _expressions(leaf: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaf, lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    )


@given(_expressions(INTS.map(lambda n: f"({n})")))
def test_arithmetic_agrees_with_python(text: str) -> None:
    expected = _python(text)
    result = compile_rule_or_none(f"{text} == {expected}")
    if result is not None and abs(expected) < 2**62:
        assert result is True or isinstance(result, RuleError)


def compile_rule_or_none(text: str) -> bool | RuleError | None:
    try:
        return compile_rule(text).evaluate({})
    except InvalidConfig:
        return None


def _python(text: str) -> int:
    """Arithmetic on integers, parentheses and + - *, by a parser of its own."""
    position = 0

    def value() -> int:
        nonlocal position
        assert text[position] == "("
        position += 1
        left = value() if text[position] == "(" else number()
        if text[position] == " ":
            op = text[position + 1]
            position += 3
            right = value()
            left = left + right if op == "+" else left - right if op == "-" else left * right
        assert text[position] == ")"
        position += 1
        return left

    def number() -> int:
        nonlocal position
        end = text.index(")", position)
        found = int(text[position:end])
        position = end
        return found

    return value()


TRUTH = st.sampled_from(["true", "false", "tags.nope == 'x'"])


@given(TRUTH, TRUTH, TRUTH)
def test_and_or_are_commutative_with_errors(a: str, b: str, c: str) -> None:
    def outcome(text: str) -> object:
        result = evaluate(text)
        return "error" if isinstance(result, RuleError) else result

    for op in ("&&", "||"):
        assert outcome(f"({a}) {op} ({b}) {op} ({c})") == outcome(f"({c}) {op} ({a}) {op} ({b})")
    assert outcome(f"!(({a}) && ({b}))") == outcome(f"!({a}) || !({b})")
