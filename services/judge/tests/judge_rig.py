"""The judge service over real stores, with simulated judges, a ledger in memory and neighbours that we speak for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calling_rig import CAP, Calls, calling
from google.protobuf.json_format import ParseDict

from modelux.config.v1 import admin_pb2 as config
from modelux.events.v1.judge_pb2 import JudgeCompleted
from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux.judge.v1 import judge_pb2 as pb
from modelux.replay.v1 import replay_pb2 as replay
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import consume
from modelux_bus.memory import MemoryBus
from modelux_calling.clock import Clock
from modelux_calling.tenants import Tenants
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import not_found
from modelux_contracts.topics import JUDGE_CALLS, JUDGE_COMMANDS, JUDGE_COMPLETED, JUDGE_VERDICTS, partitions
from modelux_ingest.consumer import Writer
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_ingest.verdicts import VerdictsWriter
from modelux_judge.calls import Calls as JudgeCalls
from modelux_judge.consumer import Consumer
from modelux_judge.desk import Desk
from modelux_judge.ending import Ending
from modelux_judge.label_desk import LabelDesk
from modelux_judge.records import JudgeRuns
from modelux_judge.runs import Runs
from modelux_providers.simulator.scenario import Rule
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.outbox import relay
from routing_core.budgets import BudgetRule

NOW_US = 1_800_000_000_000_000
PROMPT = "How do I boil an egg so that its yolk stays soft, and how long does that take at sea level?"
QUALITY = "[[quality {}]] Boil it for about six minutes, then put it into cold water and peel it with patience."
SIMILARITY = {"high": 0.98, "mild": 0.9, "major": 0.5}


@dataclass(frozen=True)
class Row:
    """A pair of the experiment: how good its answers are, by the simulated judge's marks."""

    number: int
    similarity: float = 0.9
    baseline: str = QUALITY.format(5)
    candidate: str = QUALITY.format(5)
    prompt: str = PROMPT
    weight: float = 1.0
    evidence: str = "observed"

    @property
    def ids(self) -> tuple[str, str]:
        return f"req_{self.number:026d}", f"req_c{self.number:025d}"


def rows(bucket: str, first: int, count: int, candidate: int, **more: Any) -> list[Row]:
    """`candidate`: the quality of its answers, where the baseline's is 5."""
    made = QUALITY.format(candidate)
    return [Row(number, SIMILARITY[bucket], candidate=made, **more) for number in range(first, first + count)]


@dataclass
class Bank:
    """The caps as the config service would keep them, in the ledger's books."""

    calls: Calls
    opened: dict[str, BudgetRule] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)

    async def open(self, actor: config.Actor, project_id: str, identifier: str, cap_nano: int) -> str:
        cap = replace(CAP, id=f"bud_{identifier}", scope="judge_run", scope_key=identifier, cap_nano=cap_nano)
        self.opened[cap.id] = self.calls.books.rules[cap.id] = cap
        self.calls.books.caps[cap.id] = 0
        return cap.id

    async def close(self, organization_id: str, budget_id: str) -> int:
        self.closed.append(budget_id)
        return 0


@dataclass
class Neighbours:
    """One experiment and its project."""

    record: replay.ExperimentRecord
    cap_nano: int = 20 * 10**9

    async def experiment(self, actor: replay.Actor, identifier: str) -> replay.ExperimentRecord:
        if (actor.organization_id, identifier) != ("org_1", self.record.id):
            raise not_found("experiment", identifier)
        return self.record

    async def project(self, actor: replay.Actor, identifier: str) -> config.ProjectRecord:
        return config.ProjectRecord(id=identifier, judge_spend_cap_nano=self.cap_nano)


@dataclass
class Judging:
    """The service in one process, and what it told."""

    desk: Desk
    labels: LabelDesk
    runs: Runs
    bus: MemoryBus
    calls: Calls
    bank: Bank
    neighbours: Neighbours
    recorded: list[RequestCompleted]
    completed: list[JudgeCompleted]

    @property
    def analytics(self) -> Analytics:
        return self.runs.analytics

    def spec(self, **fields: Any) -> pb.JudgeSpec:
        """In camelCase, as proto JSON; None takes one away."""
        wanted = {"experimentId": "sim_1", "judgeModel": "a", **fields}
        return ParseDict({name: value for name, value in wanted.items() if value is not None}, pb.JudgeSpec())

    async def preflight(self, **fields: Any) -> pb.PreflightResponse:
        return await self.desk.preflight(pb.PreflightRequest(actor=actor(), spec=self.spec(**fields)))

    async def create(self, key: str = "", **fields: Any) -> pb.JudgeRecord:
        return (await self.desk.create(pb.CreateRequest(actor=actor(key), spec=self.spec(**fields)))).run

    async def get(self, identifier: str) -> pb.JudgeRecord:
        return (await self.desk.get(pb.GetRequest(actor=actor(), experiment_id="sim_1", id=identifier))).run

    async def done(self, **fields: Any) -> tuple[pb.JudgeRecord, dict[str, Any]]:
        """A run from its creation to its end, with its summary."""
        made = await self.create(**fields)
        await self.runs.run(made.id)
        found = await self.get(made.id)
        return found, json.loads(found.summary_json or b"{}")

    async def refused(self, key: str = "", **fields: Any) -> Problem:
        try:
            await self.create(key, **fields)
        except ProblemError as error:
            return error.problem
        raise AssertionError("it was not refused")

    async def event(self) -> JudgeCompleted:
        """The event of the first end."""
        async with asyncio.timeout(30):
            while not self.completed:
                await asyncio.sleep(0.01)
        return self.completed[0]

    async def verdicts(self, run_id: str) -> list[dict[str, object]]:
        query = "SELECT * FROM judge_verdicts FINAL WHERE judge_run_id = {id:String} ORDER BY row, presented"
        return await self.analytics.rows(query, {"id": run_id})


def actor(key: str = "", organization_id: str = "org_1") -> replay.Actor:
    return replay.Actor(organization_id=organization_id, key_id="mk_1", key_hash=b"k", idempotency_key=key)


def experiment(**fields: Any) -> replay.ExperimentRecord:
    spec = replay.ExperimentSpec(project_id="proj_1", mode="with_responses")
    found = replay.ExperimentRecord(id="sim_1", organization_id="org_1", spec=spec, status="completed")
    found.MergeFrom(replay.ExperimentRecord(**fields))
    return found


async def fill(analytics: Analytics, wanted: Sequence[Row]) -> None:
    """The experiment's rows, and the requests that hold its answers."""
    found: dict[str, list[object]] = {name: [_column(each, name) for each in wanted] for name in _COLUMNS}
    await analytics.insert("experiment_rows", found)
    events = [event for each in wanted for event in _events(each)]
    await analytics.insert("attempts", attempt_columns(events))
    await analytics.insert("requests", request_columns(events))


def _column(row: Row, name: str) -> object:
    values: Mapping[str, object] = {
        "row": row.number, "request_id": row.ids[0], "candidate_request_id": row.ids[1], "weight": row.weight,
        "similarity": row.similarity if row.evidence == "observed" else 1.0, "evidence": row.evidence,
    }  # fmt: skip
    return values.get(name, _COLUMNS[name])


_COLUMNS: Mapping[str, object] = {
    "experiment_id": "sim_1", "organization_id": "org_1", "project_id": "proj_1", "row": 0, "request_id": "",
    "candidate_request_id": "", "evidence": "", "similarity": 0.0, "weight": 1.0, "baseline_model": "gpt-4o",
    "candidate_model": "small", "baseline_input_tokens": 40, "baseline_output_tokens": 25,
    "candidate_output_tokens": 25,
}  # fmt: skip


def _events(row: Row) -> list[RequestCompleted]:
    asked = {"model": "x", "messages": [{"role": "system", "content": "Be brief."}, _user(row.prompt)]}
    return [
        RequestCompleted(
            request_id=identifier, organization_id="org_1", project_id="proj_1", started_at_us=NOW_US + row.number,
            endpoint="chat", requested_model="x", outcome="ok", status=200, model="x", provider="openai", ttft_us=-1,
            logging_mode="full", request_body=json.dumps(asked).encode(), source=source,
            response_body=json.dumps({"choices": [{"message": {"content": text}}]}).encode() if text else b"",
            attempts=[AttemptRecord(number=1, model="x", provider="openai", kind="ok", status=200, ttft_us=-1)],
        )
        for identifier, text, source in (
            (row.ids[0], row.baseline, ""),
            (row.ids[1], row.candidate, "experiment"),
        )
    ]  # fmt: skip


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@asynccontextmanager
async def judging(
    database: Database,
    analytics: Analytics,
    folder: Path,
    rules: Sequence[Rule] = (),
    *,
    wanted: Sequence[Row] = (),
    budgets: Sequence[BudgetRule] = (),
    policies: Mapping[str, object] | None = None,
) -> AsyncIterator[Judging]:
    """`rules` of the simulator, `wanted`: the pairs of the experiment."""
    await fill(analytics, wanted)
    async with calling(folder, rules, budgets=budgets, policies=policies) as calls:
        it = process_of(database, analytics, calls)
        await it.bus.ensure(partitions())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in carriers(it)]
            yield it
            for task in tasks:
                task.cancel()


def process_of(
    database: Database,
    analytics: Analytics,
    calls: Calls,
    wrapped: Any = lambda kept: kept,
    clock: Clock | None = None,
) -> Judging:
    """One process of the service. `wrapped` stands before what it keeps of its questions."""
    bus = MemoryBus()
    bank, neighbours = Bank(calls), Neighbours(experiment())
    project = calls.project
    tenants = Tenants(1, {}, {"proj_1": project})
    records, kept = JudgeRuns(database), wrapped(JudgeCalls(database))
    caller = replace(calls.caller, source="judge", clock=clock or calls.caller.clock)
    ending = Ending(records, kept, analytics, bank, caller.clock.now_us)  # type: ignore[arg-type]
    runs = Runs(records, kept, analytics, caller, lambda: tenants, ending, pairs_at_a_time=4)
    desk = Desk(
        records,
        kept,
        analytics,
        neighbours,
        bank,
        lambda: tenants,
        5,
        caller.clock.now_us,  # type: ignore[arg-type]
    )
    return Judging(desk, LabelDesk(records, ending, caller.clock.now_us), runs, bus, calls, bank, neighbours, [], [])


def carriers(it: Judging) -> list[Any]:
    """What takes messages where they belong, as ingest and the bus do."""
    writer = Writer(it.analytics, now_us=lambda: NOW_US, linger_s=0.0)

    async def record(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        it.recorded.extend(RequestCompleted.FromString(each.message.value) for each in deliveries)
        return await writer.handle_made(deliveries)

    async def complete(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        it.completed.extend(JudgeCompleted.FromString(each.message.value) for each in deliveries)
        return []

    handlers = {
        JUDGE_VERDICTS.name: VerdictsWriter(it.analytics).handle,
        JUDGE_CALLS.name: record,
        JUDGE_COMPLETED.name: complete,
        JUDGE_COMMANDS.name: Consumer(it.runs).handle,
    }
    return [
        relay(it.runs.records.database, it.bus, poll_s=0.01),
        consume(it.bus, "ingest", handlers, max_wait_s=0.02),
    ]
