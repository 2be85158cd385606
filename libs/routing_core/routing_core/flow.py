"""The contract between a policy and whoever drives it: it yields steps, receives outcomes, returns a decision.

    Flow = Generator[Step, tuple[Outcome, ...], Decision]

A policy does no I/O and cannot tell live traffic from replay. The driver runs the attempts of a `Step` and sends back
one `Outcome` per attempt, in the order of `Step.attempts` (an attempt that was given up because another won is
`cancelled`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import field
from typing import Literal

from routing_core.records import record
from routing_core.types import Outcome, Target, Traits

Mode = Literal["all", "race"]
"""`all`: wait for every attempt (or the step's timeout); `race`: the first `ok` wins, the others are cancelled."""
Until = Literal["head", "body"]
"""`head`: the driver may hand the answer to the caller from its first content byte on; `body`: the flow must see the
whole answer first.
"""


@record
class Attempt:
    """One call to make. `timeout_ms` bounds it to the first content byte (`head`) or the whole (`body`); None: the
    proxy's defaults.
    """

    target: Target
    timeout_ms: int | None = None
    reason: str = ""
    weight: float = 1.0
    logprobs: bool = False
    """The policy weighs the token probabilities, so the provider is asked for them even where the caller did not."""


@record
class Candidate:
    """A target that the policy would use, with its place and why it stands there."""

    target: Target
    rank: int
    reason: str


@record
class Excluded:
    """A model that the policy would not use, and why. `model` is `model:provider`, or a bare model name that resolved
    to nothing.
    """

    model: str
    reason: str


@record
class Hop:
    """One delegation on the way to the deciding policy: an A/B arm, a rule's branch, a reference to another `@slug`."""

    policy_type: str
    policy_name: str
    chose: str
    reason: str
    draw: float | None = None
    propensity: float | None = None


@record
class Step:
    """Attempts to make now. The first step of a flow carries the ranking; later steps leave it empty."""

    attempts: tuple[Attempt, ...]
    mode: Mode = "race"
    until: Until = "head"
    timeout_ms: int | None = None
    """Bound on the whole step; what is not done by then is `timeout`."""
    candidates: tuple[Candidate, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    accept: Callable[[Outcome], bool] | None = field(default=None, compare=False)
    """Only in a `race` until `body`: an `ok` outcome that it refuses does not win, and the race goes on. Pure and
    quick.
    """
    draw: float | None = None
    """The chance that ranked the candidates, where there was one; kept in the trace."""


@record
class Decision:
    """What a policy concluded. `selected` is the index, over all outcomes the flow received so far, of the answer to
    return; None = failed.

    `code` tells why there is none: `no_candidates` (nothing was eligible), `attempts_failed` (the last outcome tells
    how), or an error code of the policy's own.
    """

    selected: int | None
    reason: str
    policy_type: str = ""
    policy_name: str = ""
    path: tuple[Hop, ...] = ()
    code: str | None = None
    candidates: tuple[Candidate, ...] = ()
    """Only for decisions without any step (nothing was eligible)."""
    excluded: tuple[Excluded, ...] = ()
    policy_version: int = 0
    traits: Mapping[int, Traits] = field(default_factory=dict)
    """What was read off the answers that were weighed, by the index of their outcome."""

    def via(self, hop: Hop, name: str = "", version: int = 0) -> Decision:
        """The same decision, reached through one more delegation (outermost first), to a policy of that name and
        version.

        The innermost name stays: it is the policy that decided.
        """
        return Decision(
            self.selected,
            self.reason,
            self.policy_type,
            self.policy_name or name,
            (hop, *self.path),
            self.code,
            self.candidates,
            self.excluded,
            self.policy_version or version,
            self.traits,
        )


class Abandoned(Exception):
    """Thrown into a flow that is given up between two steps. A policy that holds an answer may catch it and return
    that; else it leaves the flow, and each delegation on the way out adds its hop.
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


Flow = Generator[Step, tuple[Outcome, ...], Decision]
