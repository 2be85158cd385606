"""What a rule may look at: names, their types, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the language. `item` is the element of a list or the value of a map (whose keys are strings)."""

    name: str
    item: Type | None = None
    fields: Mapping[str, Field] = field(default_factory=dict, compare=False)
    """Of a struct such as `budget`."""

    def __str__(self) -> str:
        if self.name == "map":
            return f"map(string, {self.item})"
        return f"{self.name}({self.item})" if self.item else self.name


@dataclass(frozen=True, slots=True)
class Field:
    """One name. An `optional` one may be absent: `has(name)` asks, and a rule that needs it is false without it."""

    type: Type
    doc: str
    optional: bool = False


BOOL, INT, DOUBLE, STRING, NULL, TIME = (Type(n) for n in ("bool", "int", "double", "string", "null", "timestamp"))


def list_of(item: Type) -> Type:
    return Type("list", item)


def map_of(value: Type) -> Type:
    return Type("map", value)


BUDGET = Type(
    "budget",
    fields={
        "used_fraction": Field(DOUBLE, "spent / cap, settled and reserved; 0 when no budget applies"),
        "spent_usd": Field(DOUBLE, "spent so far in the period, settled and reserved", optional=True),
        "remaining_usd": Field(DOUBLE, "what is left under the cap, never below 0", optional=True),
        "cap_usd": Field(DOUBLE, "the cap", optional=True),
    },
)

_REQUEST = {
    "model": Field(STRING, "the model that the caller asked for, as written"),
    "endpoint": Field(STRING, "'chat' or 'embeddings'"),
    "stream": Field(BOOL, "whether the caller asked for a stream"),
    "input_tokens": Field(INT, "tokens of the prompt (estimated before the call)"),
    "max_tokens": Field(INT, "the caller's limit on the answer", optional=True),
    "tokens": Field(INT, "input_tokens plus max_tokens, where that is set"),
    "needs": Field(list_of(STRING), "capabilities in use: tools, vision, json_schema, logprobs, reasoning, embeddings"),
    "tags": Field(map_of(STRING), "the caller's tags: tags.team or tags['team']; absent tags make a comparison false"),
    "end_user_id": Field(STRING, "the caller's end user", optional=True),
    "project_id": Field(STRING, "the project"),
    "key_id": Field(STRING, "the proxy key that was used"),
}

SCHEMA: Mapping[str, Field] = {
    **_REQUEST,
    "request": Field(Type("request", fields=_REQUEST), "the same fields once more: request.model is model"),
    "cost_usd": Field(
        map_of(DOUBLE), "estimated cost of this request on a model: cost_usd['gpt-4o']; absent without a known price"
    ),
    "latency_ms": Field(map_of(DOUBLE), "median latency of a model's best healthy provider; absent until measured"),
    "ttft_ms": Field(map_of(DOUBLE), "median time to the first token, likewise"),
    "error_rate": Field(map_of(DOUBLE), "share of recent calls to a model that failed, at its best provider"),
    "healthy": Field(map_of(BOOL), "whether any provider of a model has a closed circuit; absent for unknown models"),
    "budget": Field(BUDGET, "the tightest budget that applies: the one with the highest used_fraction"),
    "budgets": Field(map_of(BUDGET), "budgets that apply, by id"),
    "now": Field(TIME, "arrival: now.getHours('+02:00'), getMinutes, getDayOfWeek (0 is Sunday), getDate, getMonth"),
    "hour": Field(INT, "hour of arrival in UTC, 0 to 23"),
    "minute": Field(INT, "minute of arrival, 0 to 59"),
    "weekday": Field(INT, "day of arrival in UTC, 0 is Sunday to 6 is Saturday, as in CEL"),
}
