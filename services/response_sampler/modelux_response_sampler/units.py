"""The work to do and what was done, in PostgreSQL: no row is called twice, and none goes untold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_CALLS, EXPERIMENT_PAIRS
from modelux_store import outbox
from modelux_store.database import Database, Transaction
from modelux_store.statements import statement

KEPT_US = 24 * 3600 * 1_000_000
"""How long after its deadline a unit is remembered."""


class Place(NamedTuple):
    """A sampled row of an experiment."""

    row: int
    side: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that this process works on."""

    samples: ExperimentSamples = field(repr=False)
    epoch: int
    again: bool = False
    """It came again: what is known of its rows is to be told again."""

    @property
    def key(self) -> dict[str, object]:
        return {"experiment_id": self.samples.experiment_id, "unit": self.samples.unit, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Known:
    """A row that was dealt with before. `pair` of None: the call was begun, and nobody knows what came of it."""

    call_id: str
    pair: ExperimentPair | None
    unit: int
    """By which it was."""


@dataclass(frozen=True, slots=True)
class Units:
    """All reads and writes of the schema. Every method is one transaction; raises `Unavailable`."""

    database: Database
    silent_s: float = 15.0
    """A unit whose process gave no sign of life for so long is another's to take."""

    async def put(self, units: Iterable[ExperimentSamples]) -> None:
        async with self.database.transaction() as tx:
            for each in units:
                values = {"samples": each.SerializeToString(), "deadline_us": each.deadline_us}
                await tx.execute(_sql("put"), {"experiment_id": each.experiment_id, "unit": each.unit, **values})

    async def claim(self) -> Unit | None:
        """The oldest that nobody works on; from now on this process does, until it is silent."""
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(_sql("claim"), {"silent_s": self.silent_s})
        if row is None:
            return None
        samples = ExperimentSamples.FromString(cast(bytes, row["samples"]))
        return Unit(samples, cast(int, row["epoch"]), cast(bool, row["again"]))

    async def beat(self, unit: Unit) -> bool:
        """A sign of life. False: another process has taken the unit."""
        async with self.database.transaction() as tx:
            return await tx.fetch_one(_sql("beat"), unit.key) is not None

    async def leave(self, unit: Unit, *, done: bool) -> None:
        """Ends the work on a unit; what is not done is another's to take at once."""
        async with self.database.transaction() as tx:
            await tx.fetch_one(_sql("leave"), unit.key | {"state": "done" if done else "waiting"})

    async def known(self, unit: Unit) -> Mapping[Place, Known]:
        """The rows of the unit that were dealt with before, perhaps by another unit that names them too."""
        async with self.database.transaction() as tx:
            wanted = {row.row for row in unit.samples.rows}
            rows = await tx.fetch_all(_sql("known"), unit.key | {"rows": sorted(wanted)})
        return {Place(cast(int, row["row"]), cast(str, row["side"])): _known(row) for row in rows}

    async def begin(self, unit: Unit, place: Place, call_id: str) -> bool:
        """Writes down that a call is about to be made; may be said again with the same id. False: it must not be made,
        for another was begun before or the unit is another process's.
        """
        async with self.database.transaction() as tx:
            values = unit.key | place._asdict() | {"call_id": call_id}
            return await tx.fetch_one(_sql("begin"), values) is not None

    async def withdraw(self, unit: Unit, place: Place) -> None:
        """Nothing was bought of what was begun: the row may be called later."""
        async with self.database.transaction() as tx:
            await tx.execute(_sql("withdraw"), unit.key | place._asdict())

    async def answer(self, unit: Unit, pair: ExperimentPair, call: bytes) -> bool:
        """What came of a call that was begun, with its record (`RequestCompleted`; empty: it never left).

        False where it was told as lost meanwhile; its record goes into the log all the same.
        """
        async with self.database.transaction() as tx:
            told = await tx.fetch_one(_sql("answer"), _values(unit, pair)) is not None
            if told:
                await outbox.append(tx, pair_message(pair))
            if call:
                await outbox.append(tx, call_message(pair.call_id, pair.project_id, call))
        return told

    async def interrupt(self, unit: Unit, pair: ExperimentPair, call: bytes) -> bool:
        """A call that an earlier process began and did not tell of. False where it told, or withdrew it, after all."""
        return await self._tell("interrupt", unit, pair, call)

    async def skip(self, unit: Unit, pair: ExperimentPair) -> bool:
        """A row that is not called. False where the unit is another's, or it was begun before."""
        return await self._tell("skip", unit, pair)

    async def tell_again(self, pairs: Iterable[ExperimentPair]) -> None:
        async with self.database.transaction() as tx:
            for pair in pairs:
                await outbox.append(tx, pair_message(pair))

    async def sweep(self, now_us: int) -> None:
        """Forgets units whose deadline is long past."""
        async with self.database.transaction() as tx:
            for name in ("sweep_calls", "sweep_units"):
                await tx.execute(_sql(name), {"before_us": now_us - KEPT_US})

    async def _tell(self, how: str, unit: Unit, pair: ExperimentPair, call: bytes = b"") -> bool:
        async with self.database.transaction() as tx:
            if await tx.fetch_one(_sql(how), _values(unit, pair)) is None:
                return False
            await _append(tx, pair, call)
        return True


async def _append(tx: Transaction, pair: ExperimentPair, call: bytes) -> None:
    await outbox.append(tx, pair_message(pair))
    if call:
        await outbox.append(tx, call_message(pair.call_id, pair.project_id, call))


def pair_message(pair: ExperimentPair) -> Message:
    identity = f"{pair.experiment_id}.{pair.row}.{pair.side}"
    return _message(EXPERIMENT_PAIRS.name, pair.experiment_id, codec.encode(pair), identity)


def call_message(call_id: str, project_id: str, event: bytes) -> Message:
    """`event`: `RequestCompleted`, encoded."""
    return _message(EXPERIMENT_CALLS.name, project_id, event, f"{call_id}.called")


def _message(topic: str, key: str, value: bytes, identity: str) -> Message:
    return Message(topic, key.encode(), value, identity, codec.headers(topic))


def _values(unit: Unit, pair: ExperimentPair) -> dict[str, object]:
    return unit.key | {"row": pair.row, "side": pair.side, "pair": pair.SerializeToString()}


def _known(row: Mapping[str, object]) -> Known:
    pair = row["pair"]
    told = None if pair is None else ExperimentPair.FromString(cast(bytes, pair))
    return Known(cast(str, row["call_id"]), told, cast(int, row["unit"]))


def _sql(name: str) -> str:
    return statement("modelux_response_sampler", "units", name)
