"""The words of routing: targets, offers, requests, outcomes and usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from routing_core.records import record

Endpoint = Literal["chat", "embeddings"]
Capability = Literal["tools", "vision", "json_schema", "logprobs", "reasoning", "embeddings"]
OutcomeKind = Literal["ok", "status", "timeout", "connect", "invalid", "cut", "cancelled"]
"""How an attempt ended: `ok` = a usable answer (or its first content); `status` = the provider answered 4xx/5xx;
`timeout` = one of its deadlines passed; `connect` = DNS, TCP or TLS failed, no byte was sent; `invalid` = an answer
that is not one (HTML, broken JSON); `cut` = the connection ended after the request was sent; `cancelled` = we or the
caller gave it up.
"""

CIRCUIT_OPEN = "circuit_open"
"""Error code of an attempt that was not sent, as its target's circuit was no longer what the policy saw."""
BUDGET_EXCEEDED = "budget_exceeded"
"""Error code of an attempt that was not sent, as its worst case did not fit under a spend cap."""
PRICE_UNKNOWN = "price_unknown"
"""Error code of an attempt that was not sent, as nobody knows what it may cost and a spend cap applies."""
UNSENT = frozenset({CIRCUIT_OPEN, BUDGET_EXCEEDED, PRICE_UNKNOWN})


@record
class Target:
    """One way to reach a model: its name at a provider, paid with one credential. Printed as `model:provider`."""

    model: str
    provider: str
    credential_id: str

    @property
    def name(self) -> str:
        return f"{self.model}:{self.provider}"


@record
class UsageExtras:
    """What few calls have and what is charged at prices of its own. Tokens, each a part of the sum it names."""

    cache_write_1h: int = 0
    """Of `cache_write`: what was written to be kept for an hour; the rest is kept for minutes."""
    input_audio: int = 0
    cache_audio_read: int = 0
    """Of `cache_read` and of `input_audio`."""
    input_image: int = 0
    """Pictures and video frames."""
    output_audio: int = 0
    output_image: int = 0
    web_searches: int = 0
    """Searches that the provider made and charges one by one; no tokens."""


@record
class Usage:
    """Tokens of one call. `input` includes cached and cache-writing tokens and those of sound and pictures, `output`
    includes reasoning tokens (OpenAI's convention).
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    """However long it is kept."""
    reasoning: int = 0
    estimated: bool = False
    extras: UsageExtras | None = None
    """None for most calls, which keeps the price of a plain one quick to tell."""


@record
class Request:
    """What a policy may know of a call. Built at the edge once; never holds prompts, only features of them."""

    request_id: str
    project_id: str
    endpoint: Endpoint = "chat"
    model: str = ""
    stream: bool = False
    input_tokens: int = 0
    max_tokens: int | None = None
    needs: frozenset[Capability] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    end_user_id: str | None = None
    key_id: str = ""
    at_ms: int = 0
    """Arrival, milliseconds since the epoch (UTC). The only clock that a policy sees."""


@record
class Traits:
    """What a policy read off an answer's text. Traces keep it, so that a replay can weigh an answer whose text is not
    kept.
    """

    digest: str
    """Of the normalised text, keyed by the request: equal digests are the same answer. Empty where the policy did not
    compare.
    """
    json: bool | None = None
    """Whether the text is one JSON value; None where no rule asked, as below."""
    refusal: bool | None = None
    score: float | None = None
    """The answer's rating of itself, 0 to 1; None too where it gave none."""
    matches: bool | None = None


@record
class Answer:
    """The parts of a complete answer that policies weigh: present on an `ok` outcome only when the step asked
    `until="body"`.
    """

    text: str = ""
    finish_reason: str | None = None
    tool_calls: int = 0
    refusal: bool = False
    logprob_mean: float | None = None
    """Mean log probability of the output tokens, where the provider returned them."""
    traits: Traits | None = None
    """Set in a replay only, in place of the text."""


@record
class Outcome:
    """How one attempt went. A provider's failure is a value, never an exception.

    With `until="head"` an `ok` outcome is handed to the flow at the first content byte; latency, usage and cost are
    filled in afterwards by the driver.
    """

    target: Target
    kind: OutcomeKind
    status: int | None = None
    latency_ms: float = 0.0
    ttft_ms: float | None = None
    usage: Usage = Usage()
    cost_nano: int = 0
    error_code: str | None = None
    """The provider's own error code, or ours (`attempt_timeout`, `connect_failed`, ...)."""
    answer: Answer | None = None
    retry_after_ms: int | None = None
    output_cost_nano: int = 0
    """The part of `cost_nano` that the output made; the rest is the input's."""

    @property
    def ok(self) -> bool:
        return self.kind == "ok"

    @property
    def unsent(self) -> bool:
        """Whether whoever makes the calls refused this one: it says nothing of its target."""
        return self.kind == "connect" and self.error_code in UNSENT
