"""What is known of a logged request: how its attempts ended, what it saw, and whether its policy decides so again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from modelux_replay.past import OWN_FAULTS
from modelux_replay.requests import Batch, read_trace
from modelux_replay.worlds import Moment, Worlds
from routing_core.config import NamedPolicy
from routing_core.replay import recorded_outcomes, rerun
from routing_core.trace import Trace
from routing_core.types import Outcome, Request, Target, Usage
from routing_core.world import World

_encode = msgspec.json.Encoder().encode
_DECIDED = (
    "policy_type", "policy_name", "policy_version", "path", "candidates", "excluded", "selected", "selected_attempt",
    "selection_reason",
)  # fmt: skip
"""What of a trace is the decision."""


@dataclass(slots=True, eq=False)
class Logged:
    """One logged request. `columns` are those of the log."""

    request: Request
    at_us: int
    moment: Moment
    columns: Mapping[str, Any] = field(repr=False)
    trace: Trace | None = None
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

    @property
    def own_fault(self) -> Outcome | None:
        """The refusal that the request itself earned, wherever it goes; None for most."""
        last = self.ended[-1] if self.ended else None
        return last if last is not None and last.kind == "status" and last.status in OWN_FAULTS else None

    @property
    def never_routed(self) -> bool:
        """Whether it was refused before any policy saw it: no candidate changes that."""
        return self.trace is None and not self.ended


def look_back(worlds: Worlds, batch: Batch, index: int) -> Logged:
    """All that is known of one row. Where it has a trace, its own policy is run again on it, as the self-check."""
    columns = {name: column[index] for name, column in batch.columns.items()}
    at_us = columns["started_us"]
    found = Logged(batch.requests[index], at_us, worlds.moments.at(at_us // 1000), columns)
    trace = found.trace = read_trace(columns["trace"])
    imported = bool(columns["source"])
    if trace is None:
        found.ended = _untraced(columns)
    else:
        found.ended = recorded_outcomes(trace)
    if trace is not None and not imported:
        _check(worlds, found, trace)
    return found


def _check(worlds: Worlds, found: Logged, trace: Trace) -> None:
    """Runs the logged version on what the trace saw, with what came back."""
    columns = found.columns
    found.world = worlds.logged(trace, found.moment)
    policy = worlds.policies.logged(columns["config_slug"], columns["config_version"], columns["requested_model"])
    if policy is None:
        found.reproduced = False
        return
    found.policy = policy
    run = rerun(trace, found.ended, policy, found.request, found.world)
    made = len(run.outcomes)
    attempts = [attempt for step in run.steps for attempt in step.attempts]
    again = run.trace(found.ended[:made], [attempt.started_ms for attempt in trace.attempts[:made]])
    found.reproduced = _encode(again) == columns["trace"] or _same(again, trace)
    found.timeouts = [attempt.timeout_ms for attempt in attempts[:made]]
    if found.reproduced:
        found.refused = [attempt.target for attempt in attempts[made:]]


def _same(again: Trace, trace: Trace) -> bool:
    """For traces of an older shape, whose bytes differ."""
    same = all(getattr(again, name) == getattr(trace, name) for name in _DECIDED)
    return same and [a.model for a in again.attempts] == [a.model for a in trace.attempts]


def _untraced(columns: Mapping[str, Any]) -> Sequence[Outcome]:
    """The one attempt that the columns of a request without a trace tell of; none where it never reached a model."""
    if not columns["attempts"] or not columns["model"]:
        return ()
    failed = columns["outcome"] != "ok"
    ttft_us = columns["ttft_us"]
    usage = Usage(
        columns["input_tokens"],
        columns["output_tokens"],
        columns["cache_read_tokens"],
        columns["cache_write_tokens"],
        columns["reasoning_tokens"],
    )
    return (
        Outcome(
            Target(columns["model"], columns["provider"], columns["credential_id"]),
            "status" if failed else "ok",
            columns["status"] or None,
            columns["latency_us"] / 1000,
            None if ttft_us is None else ttft_us / 1000,
            usage,
            columns["cost_nano"],
            columns["error_code"] or None,
        ),
    )
