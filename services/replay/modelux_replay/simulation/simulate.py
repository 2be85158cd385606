"""Replay batches of logged requests under a candidate: the engine decides, the log and past calls tell what comes back.

For each row the request is made anew from its columns, and the world from what its trace saw: circuits, latencies and
budgets as they stood, and for targets that were not looked at what past calls of them tell. In it `engine.Run` drives
the candidate. An attempt that the logged request made too (same target, same timeout) ends as it did then, at the
logged cost. Any other is projected: it fails, and takes as long, as calls of the target did around that hour, by a hash
of seed, request id and number of the attempt; tokens are those of the logged answer, corrected by what calls of both
models taught (`calibration`; without any as they are), input uncached, at the price of the row's moment. A request that
was refused for its own fault (400, 413, 422) earns the same refusal anywhere.

A row's evidence is `reused` where all its outcomes are logged ones, `projected` where one is not, and `not_evaluable`
where nobody knows the price of a target it asks. `observed` is for candidates that were really called, which nothing
here does. Where a target has a price but no past calls, its latency is null.

Whether a cascade believes an answer that nobody has read is unknown. Such a row runs three times: believing each such
answer, none, and by a draw that believes half (`outcomes.BELIEVED`). The last gives the row's figures, the first two
the bounds of its cost. Members of an ensemble that a downgrade leads to are all paid.

Budgets are those that the logged request met, and for rows that are replayed in order (`in_order`) less what the
candidate would have saved before, or more by what it would have spent (`carry`): it is downgraded and denied by those.
A request that was refused before any policy saw it tells no budgets and stays refused.

The self-check: the logged version, run again on its own trace, must leave that trace. A row's figures depend on the
row, the plan and the seed alone, so batches and processes do not change them.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.learned.calibration import Ratios
from modelux_replay.plan import Plan, Simulator
from modelux_replay.simulation.carry import Carry, Purse
from modelux_replay.simulation.cases import Belief, Case
from modelux_replay.simulation.logged import Logged, look_back
from modelux_replay.simulation.outcomes import Projector, believes
from modelux_replay.simulation.requests import Batch, read_batch
from modelux_replay.simulation.results import Outlook, outlook, table, unchanged
from modelux_replay.simulation.worlds import Worlds, named
from routing_core.config import NamedPolicy, Policy, dump_policy, references

_NO_BUDGETS = '"budgets":[]'
"""What a trace holds where no budget did."""
CHUNK = 1_000
"""Rows that are worked on at once."""


def prepare(plan: Plan) -> Simulator:
    """The simulator of a plan; takes a good fraction of a second for a long history of calls."""
    return Simulation(plan)


class Simulation:
    """See the module. Not for several threads at once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._worlds = Worlds.of(plan)
        ratios = Ratios.of(plan.pilot, plan.history, plan.seed)
        self._projector = Projector(self._worlds.past, ratios, plan.stratum_tag)
        self._candidate = named(plan.candidate)
        self._rules = _Rules(self._worlds.policies.active)
        self._asked = self._rules.of(self._candidate)

    def __call__(self, rows: pa.Table, first_row: int) -> pa.Table:
        with _uncollected():
            parts = [self._chunk(rows.slice(start, CHUNK), first_row + start) for start in range(0, len(rows), CHUNK)]
        return pa.concat_tables(parts) if parts else self._chunk(rows, first_row)

    def under_budgets(self, rows: pa.Table) -> pa.Array:
        """See `plan.Ordered`."""
        traces = rows.column("trace").combine_chunks()
        bare = pc.match_substring(traces, _NO_BUDGETS)
        return pc.and_(pc.greater(pc.binary_length(traces), len(b"{}")), pc.invert(bare))

    def in_order(self, rows: pa.Table, state: bytes, weight: float) -> tuple[pa.Table, bytes]:
        """See `plan.Ordered`."""
        carry = Carry(self._plan.budgets, self._plan.project_id, state)
        batch = read_batch(rows, self._plan.project_id, self._plan.seed)
        logged = [look_back(self._worlds, batch, index) for index in range(len(batch))]
        outlooks = [self._carried(batch, logged, index, carry, weight) for index in range(len(batch))]
        return table(batch, 0, outlooks, logged, self._plan.run_tag), carry.state

    def _carried(self, batch: Batch, logged: list[Logged], index: int, carry: Carry, weight: float) -> Outlook:
        """One row under the budgets that the candidate left."""
        one = logged[index]
        if one.never_routed:
            return unchanged(one)
        purse = carry.purse(one.request, () if one.world is None else one.world.budgets)
        cases = self._run(batch, logged, [index], "drawn", purse)
        unsure = cases[index].unsure
        bounds = [self._run(batch, logged, [index], belief, purse) for belief in ("always", "never")] if unsure else []
        if not cases[index].unpriced:
            carry.add(one.request, cases[index].ended, one.ended, weight)
        return self._outlook(index, one, cases, bounds)

    def _chunk(self, rows: pa.Table, first_row: int) -> pa.Table:
        batch = read_batch(rows, self._plan.project_id, self._plan.seed)
        logged = [look_back(self._worlds, batch, index) for index in range(len(batch))]
        routed = [index for index, each in enumerate(logged) if not each.never_routed]
        cases = self._run(batch, logged, routed, "drawn")
        unsure = [index for index, case in cases.items() if case.unsure]
        bounds = [self._run(batch, logged, unsure, belief) for belief in ("always", "never")] if unsure else []
        outlooks = [self._outlook(index, each, cases, bounds) for index, each in enumerate(logged)]
        return table(batch, first_row, outlooks, logged, self._plan.run_tag)

    def _outlook(self, index: int, logged: Logged, cases: Mapping[int, Case], bounds: list[dict[int, Case]]) -> Outlook:
        case = cases.get(index)
        if case is None:
            return unchanged(logged)
        costs = [sum(outcome.cost_nano for outcome in ways[index].ended) for ways in bounds if index in ways]
        return outlook(case, min(costs, default=None), max(costs, default=None))

    def _run(
        self, batch: Batch, logged: list[Logged], rows: Iterable[int], belief: Belief, purse: Purse | None = None
    ) -> dict[int, Case]:
        """The decided cases of these rows: all go on together, step by step, so that outcomes are drawn in columns."""
        cases = {index: self._case(index, logged[index], belief, purse) for index in rows}
        waiting = [case for case in cases.values() if case.step is not None]

        def drawn(index: int, number: int) -> bool:
            return believes(int(batch.keys[index]), number)

        while waiting:
            self._projector.fill(waiting, batch)
            for case in waiting:
                case.advance(drawn)
            waiting = [case for case in waiting if case.step is not None]
        return cases

    def _case(self, index: int, logged: Logged, belief: Belief, purse: Purse | None) -> Case:
        budgets = purse.budgets if purse is not None else () if logged.world is None else logged.world.budgets
        world = self._worlds.candidate(logged.looked, budgets, logged.moment, logged.at_us)
        read = logged.policy is not None and self._rules.of(logged.policy) == self._asked
        run = self._worlds.courses.run(self._candidate, logged.request, world)
        return Case(index, logged, run, belief, read=read, purse=purse)


class _Rules:
    """What policies ask of answers, those they refer to included."""

    def __init__(self, policies: Mapping[str, NamedPolicy]) -> None:
        self._policies = policies
        self._known: dict[int, tuple[Policy, frozenset[str]]] = {}

    def of(self, policy: NamedPolicy) -> frozenset[str]:
        """The rules in one form each."""
        known = self._known.get(id(policy.policy))
        if known is None:
            found = frozenset(self._asked(policy.policy, set()))
            known = self._known[id(policy.policy)] = (policy.policy, found)
        return known[1]

    def _asked(self, policy: Policy, seen: set[str]) -> Iterator[str]:
        yield from _asked(dump_policy(policy))
        for _, ref in references(policy):
            if ref.key not in seen and ref.key in self._policies:
                seen.add(ref.key)
                yield from self._asked(self._policies[ref.key].policy, seen)


def _asked(document: object) -> Iterator[str]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            if name in ("confidence", "valid"):
                yield json.dumps(value, sort_keys=True)
            else:
                yield from _asked(value)
    elif isinstance(document, list):
        for each in document:
            yield from _asked(each)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: a chunk makes many objects that live until its end, and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
