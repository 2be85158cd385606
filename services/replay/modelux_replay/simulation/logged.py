"""What is known of a logged request: how its attempts ended, what it saw, and whether its policy decides so again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelux_replay.simulation.past import OWN_FAULTS
from modelux_replay.simulation.requests import Batch
from modelux_replay.simulation.stored import StoredHop, StoredTrace
from modelux_replay.simulation.traces import lists, outcomes_of, read_trace
from modelux_replay.simulation.worlds import Moment, Worlds
from routing_core.config import NamedPolicy
from routing_core.engine import Run
from routing_core.flow import Attempt, Hop
from routing_core.replay import rerun
from routing_core.shapes import AbTest
from routing_core.types import Outcome, Request, Target, Usage
from routing_core.world import Health, World


@dataclass(slots=True, eq=False)
class Logged:
    """One logged request: row `index` of the batch whose `columns` these are."""

    request: Request
    at_us: int
    moment: Moment
    index: int
    columns: Mapping[str, Sequence[Any]] = field(repr=False)
    trace: StoredTrace | None = None
    world: World | None = None
    """As it was seen; None where no trace tells."""
    ended: Sequence[Outcome] = ()
    """Its attempts."""
    timeouts: Sequence[int | None] = ()
    """Of its attempts; fewer where its policy is not known to have made them."""
    refused: Sequence[Target] = ()
    """Where the run was given up, the targets it would have tried next."""
    reproduced: bool | None = None
    policy: NamedPolicy | None = None
    looked: Mapping[Target, Health | None] = field(default_factory=dict)
    """The health of the targets that its policy looked at; None where nothing was known."""

    def told(self, name: str) -> Any:
        """What the log has in this column."""
        return self.columns[name][self.index]

    @property
    def own_fault(self) -> Outcome | None:
        """The refusal that the request itself earned, wherever it goes; None for most."""
        last = self.ended[-1] if self.ended else None
        return last if last is not None and last.kind == "status" and last.status in OWN_FAULTS else None

    @property
    def propensity(self) -> float | None:
        """How likely the splits on its way led it there; None where it met none, or one does not say."""
        splits = self._splits
        shares = [hop.propensity or _share(self.policy, hop.chose) for hop in splits]
        return math.prod(shares) if splits and all(shares) else None

    @property
    def split_draw(self) -> float | None:
        """Where its unit (a user, a run, a key, itself) fell at the first split on its way; None where it met none."""
        splits = self._splits
        return splits[0].draw if splits else None

    @property
    def _splits(self) -> Sequence[StoredHop]:
        return [hop for hop in self.trace.path if hop.policy_type == "ab_test"] if self.trace else []

    @property
    def never_routed(self) -> bool:
        """Whether it was refused before any policy saw it: no candidate changes that."""
        return self.trace is None and not self.ended


def _share(policy: NamedPolicy | None, arm: str) -> float:
    """Of an arm, by the logged version, where a trace does not tell it; 0 where that is not its split."""
    split = policy.policy.split if policy is not None and isinstance(policy.policy, AbTest) else ()
    return sum(each.weight for each in split if each.name == arm) / (sum(each.weight for each in split) or 1.0)


def look_back(worlds: Worlds, batch: Batch, index: int) -> Logged:
    """All that is known of one row. Where it has a trace, its own policy is run again on it, as the self-check."""
    at_us = batch.columns["started_us"][index]
    found = Logged(batch.requests[index], at_us, worlds.moments.at(at_us // 1000), index, batch.columns)
    trace = found.trace = read_trace(found.told("trace"))
    if trace is None:
        found.ended = _untraced(found)
        return found
    found.ended = outcomes_of(trace)
    if not found.told("source"):
        _check(worlds, found, trace)
    return found


def _check(worlds: Worlds, found: Logged, trace: StoredTrace) -> None:
    """Runs the logged version on what the trace saw, with what came back."""
    world = found.world = worlds.logged(trace, found.moment)
    told = found.told
    policy = worlds.policies.logged(told("config_slug"), told("config_version"), told("requested_model"))
    if policy is None:
        found.reproduced = False
        return
    found.policy = policy
    run = worlds.courses.run(policy, found.request, world)
    rerun(run, found.ended, trace.selected_attempt, trace.selection_reason)
    made = len(run.outcomes)
    attempts = [attempt for step in run.steps for attempt in step.attempts]
    found.reproduced = _decides_so(run, trace, attempts[:made])
    found.looked = run.seen.looked
    found.timeouts = [attempt.timeout_ms for attempt in attempts[:made]]
    if found.reproduced:
        found.refused = [attempt.target for attempt in attempts[made:]]


def _decides_so(run: Run, trace: StoredTrace, attempts: Sequence[Attempt]) -> bool:
    """Whether the run leaves the trace, but for its note of what was seen: all else in it is a recorded outcome."""
    decision = run.decision
    assert decision is not None
    first = run.steps[0] if run.steps else decision
    chosen = None if decision.selected is None else decision.selected + 1
    return (
        decision.reason == trace.selection_reason
        and chosen == trace.selected_attempt
        and decision.policy_type == trace.policy_type
        and decision.policy_name == trace.policy_name
        and decision.policy_version == trace.policy_version
        and _same_path(decision.path, trace.path)
        and [(each.model, each.reason) for each in first.excluded] == [(e.model, e.reason) for e in trace.excluded]
        and [a.reason for a in attempts] == [a.reason for a in trace.attempts]
        and lists(trace, first.candidates)
    )


def _same_path(path: Sequence[Hop], told: Sequence[StoredHop]) -> bool:
    if not path and not told:
        return True
    return [(h.policy_type, h.policy_name, h.chose, h.reason, h.draw, h.propensity) for h in path] == [
        (h.policy_type, h.policy_name, h.chose, h.reason, h.draw, h.propensity) for h in told
    ]


def _untraced(found: Logged) -> Sequence[Outcome]:
    """The one attempt that the columns of a request without a trace tell of; none where it never reached a model."""
    told = found.told
    if not told("attempts") or not told("model"):
        return ()
    failed = told("outcome") != "ok"
    ttft_us = told("ttft_us")
    usage = Usage(
        told("input_tokens"),
        told("output_tokens"),
        told("cache_read_tokens"),
        told("cache_write_tokens"),
        told("reasoning_tokens"),
    )
    return (
        Outcome(
            Target(told("model"), told("provider"), told("credential_id")),
            "status" if failed else "ok",
            told("status") or None,
            told("latency_us") / 1000,
            None if ttft_us is None else ttft_us / 1000,
            usage,
            told("cost_nano"),
            told("error_code") or None,
        ),
    )
