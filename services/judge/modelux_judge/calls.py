"""The pairs of a run and the questions about them, in PostgreSQL: none is asked twice, and none goes untold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, cast

from modelux.events.v1.judge_pb2 import JudgeVerdict
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.topics import JUDGE_CALLS, JUDGE_VERDICTS
from modelux_judge.population import Pair
from modelux_judge.records import JudgeRun
from modelux_judge.statements import sql
from modelux_store import outbox
from modelux_store.database import Database, Transaction

Presented = Literal["baseline_first", "candidate_first"]
ORDERS: tuple[Presented, ...] = ("baseline_first", "candidate_first")


class Place(NamedTuple):
    """A question: a pair of a run, and the order in which its answers are shown."""

    row: int
    presented: Presented


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked. `verdict` of None: nobody knows yet what it brought."""

    place: Place
    call_id: str
    verdict: JudgeVerdict | None
    baseline_chars: int
    """Of the answers that were shown; 0 where none was read."""
    candidate_chars: int


@dataclass(frozen=True, slots=True)
class Calls:
    """Reads and writes of one transaction each; raises `Unavailable`."""

    database: Database

    async def draw(self, one: JudgeRun, pairs: Iterable[Pair], population: str, *, drawn: bool) -> bool:
        """Keeps the pairs of a run beside those it has. False where the run is no longer this process's."""
        async with self.database.transaction() as tx:
            for pair in pairs:
                await tx.execute(sql("pairs", "add"), {"run_id": one.id, **asdict(pair)})
            rows = await tx.fetch_all(sql("pairs", "all"), {"run_id": one.id})
            total = sum(row["kind"] == "pair" for row in rows)
            values = {"id": one.id, "epoch": one.epoch, "population": population, "drawn": drawn, "pairs_total": total}
            return await tx.fetch_one(sql("runs", "drawn"), values) is not None

    async def pairs(self, run_id: str) -> list[Pair]:
        """See `pairs_within`."""
        async with self.database.transaction() as tx:
            return await pairs_within(tx, run_id)

    async def asked(self, run_id: str) -> Mapping[Place, Asked]:
        async with self.database.transaction() as tx:
            return await asked_within(tx, run_id)

    async def intend(self, one: JudgeRun, place: Place, call_id: str) -> bool:
        """Writes down that a question is about to be asked. False: it must not be, for it was before, or the run is
        another process's or was stopped.
        """
        async with self.database.transaction() as tx:
            return await tx.fetch_one(sql("pairs", "intend"), _key(one, place) | {"call_id": call_id}) is not None

    async def withdraw(self, one: JudgeRun, place: Place) -> None:
        """Nothing left of what was intended: the question may be asked later."""
        async with self.database.transaction() as tx:
            await tx.execute(sql("pairs", "unsaid"), _key(one, place))

    async def said(self, one: JudgeRun, asked: Asked, records: Sequence[tuple[str, bytes]], *, tell: bool) -> bool:
        """What a question brought, with the records of its calls (`RequestCompleted` by call id).

        `tell`: it is a verdict on a pair, for others to hear of. False where it counts as interrupted by now; its
        records go into the log all the same.
        """
        assert asked.verdict is not None
        values = _key(one, asked.place) | {"verdict": asked.verdict.SerializeToString()}
        values |= {"baseline_chars": asked.baseline_chars, "candidate_chars": asked.candidate_chars}
        async with self.database.transaction() as tx:
            first = await tx.fetch_one(sql("pairs", "said"), values) is not None
            if first and tell:
                await outbox.append(tx, _verdict_message(asked.verdict))
            for call_id, record in records:
                await outbox.append(tx, _call_message(call_id, one.project_id, record))
        return first


async def pairs_within(tx: Transaction, run_id: str) -> list[Pair]:
    """In the order in which they are judged; canaries among them."""
    rows = await tx.fetch_all(sql("pairs", "all"), {"run_id": run_id})
    names = Pair.__dataclass_fields__
    return [Pair(**{name: row[name] for name in names}) for row in rows]  # type: ignore[arg-type]  # columns by name


async def asked_within(tx: Transaction, run_id: str) -> Mapping[Place, Asked]:
    """All questions of a run that were asked."""
    found = [_asked(row) for row in await tx.fetch_all(sql("pairs", "calls"), {"run_id": run_id})]
    return {each.place: each for each in found}


def _asked(row: Mapping[str, object]) -> Asked:
    place = Place(cast(int, row["row"]), cast(Presented, row["presented"]))
    verdict = None if row["verdict"] is None else JudgeVerdict.FromString(cast(bytes, row["verdict"]))
    chars = (cast(int, row["baseline_chars"]), cast(int, row["candidate_chars"]))
    return Asked(place, cast(str, row["call_id"]), verdict, *chars)


def _key(one: JudgeRun, place: Place) -> dict[str, object]:
    return {"run_id": one.id, "epoch": one.epoch, **place._asdict()}


def _verdict_message(verdict: JudgeVerdict) -> Message:
    identity = f"{verdict.judge_run_id}.{verdict.row}.{verdict.order}"
    return _message(JUDGE_VERDICTS.name, verdict.judge_run_id, codec.encode(verdict), identity)


def _call_message(call_id: str, project_id: str, record: bytes) -> Message:
    return _message(JUDGE_CALLS.name, project_id, record, f"{call_id}.called")


def _message(topic: str, key: str, value: bytes, identity: str) -> Message:
    return Message(topic, key.encode(), value, identity, codec.headers(topic))
