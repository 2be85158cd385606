"""The shapes of a routing policy: one frozen dataclass per strategy, and the parts they share.

They come out of `parsing.parse_policy` checked; a hand-made one (a plain model call is `Single(model)`) must keep the
same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from routing_core.patterns import Pattern
from routing_core.rules import Rule

DEFAULT_RETRY_ON = frozenset({"429", "5xx", "timeout", "connect", "credentials"})
DEFAULT_OUTPUT_TOKENS = 512
"""Output that a call is assumed to produce when it sets no `max_tokens`, for cost estimates."""
DEFAULT_EXPLORE = 0.05

Aggregation = Literal["voting", "first_valid", "weighted"]
Metric = Literal["ttft", "p50"]


@dataclass(frozen=True, slots=True)
class Ref:
    """Another named policy: its active version, or a pinned one."""

    slug: str
    version: int | None = None

    @property
    def key(self) -> str:
        """The key in `World.policies` and in `validate(known=...)`: `slug` or `slug:3`."""
        return self.slug if self.version is None else f"{self.slug}:{self.version}"


@dataclass(frozen=True, slots=True)
class Single:
    """One model, by any of its credentials."""

    model: str
    credential_id: str | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SelfScore:
    """The answer rates itself: the number behind the last `marker` (0 to 1, or a percentage) is at least `min`."""

    marker: str
    min: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """What an answer must show to be believed. Every rule that is set must hold."""

    min_logprob_mean: float | None = None
    json_valid: bool = False
    no_refusal: bool = False
    self_score: SelfScore | None = None
    matches: str | None = None
    """A pattern (`routing_core.pattern_syntax`) that must be found in the text."""
    pattern: Pattern | None = field(default=None, compare=False, repr=False)
    """`matches`, compiled."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a fallback or cascade. `confidence` is a cascade's."""

    model: str
    credential_id: str | None = None
    timeout_ms: int | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True)
class Fallback:
    """The first attempt that does not fail in a way listed in `retry_on`."""

    attempts: tuple[Try, ...]
    retry_on: frozenset[str] = DEFAULT_RETRY_ON


@dataclass(frozen=True, slots=True)
class Cascade:
    """The first attempt that succeeds and, where it has a rule, is believed."""

    attempts: tuple[Try, ...]
    retry_on: frozenset[str] = DEFAULT_RETRY_ON


@dataclass(frozen=True, slots=True)
class CostOptimized:
    """The cheapest model that can do the call. `allow=None`: every model the project can reach."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    min_tier: int = 1
    retry_on: frozenset[str] = DEFAULT_RETRY_ON
    timeout_ms: int | None = None
    expected_output_tokens: int = DEFAULT_OUTPUT_TOKENS


@dataclass(frozen=True, slots=True)
class LatencyOptimized:
    """The target that answers fastest now. `metric=None`: time to first token for streams, p50 for the rest."""

    models: tuple[str, ...]
    metric: Metric | None = None
    explore: float = DEFAULT_EXPLORE
    retry_on: frozenset[str] = DEFAULT_RETRY_ON
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One voice of an ensemble."""

    model: str
    weight: float = 1.0
    credential_id: str | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """All members at once, one answer."""

    members: tuple[Member, ...]
    aggregation: Aggregation = "voting"
    timeout_ms: int | None = None
    valid: Confidence | None = None
    """What an answer must show to count at all."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of an A/B test."""

    name: str
    weight: float
    policy: Policy


@dataclass(frozen=True, slots=True)
class AbTest:
    """A share of the traffic for each arm; the same unit always meets the same arm while the weights stand.

    `sticky_by` names the unit: `request_id`, `end_user_id`, `key_id` or `tag:<name>`. `salt` separates tests over the
    same units.
    """

    split: tuple[Arm, ...]
    sticky_by: str = "request_id"
    salt: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A rule and what it leads to. `name` is empty where the document gives none."""

    name: str
    text: str
    then: Policy
    when: Rule = field(compare=False, repr=False)
    """`text`, compiled."""


@dataclass(frozen=True, slots=True)
class CustomRules:
    """The first rule that holds decides, else `otherwise`."""

    rules: tuple[Case, ...]
    otherwise: Policy


Policy = Single | Fallback | CostOptimized | LatencyOptimized | Ensemble | AbTest | Cascade | CustomRules | Ref


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy under its `@slug` (without the @) and version. A plain model call has no name and version 0."""

    name: str
    version: int
    policy: Policy
