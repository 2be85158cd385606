"""Spend one capped budget through several real proxies, kill one of them, and count by what the providers served."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import processes
from google.protobuf.json_format import ParseDict
from stack import PROGRAM, call, free_ports, own_environment, suppress_unanswered

from modelux.config.v1 import admin_pb2 as pb
from modelux.config.v1.admin_pb2_grpc import AdminServiceStub
from modelux_contracts.ids import new_key
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_providers.client import Client, Deadlines, Origin
from modelux_providers.client_errors import CallFailed
from modelux_providers.egress import Guard
from modelux_providers.simulator.process import Process as Simulator
from modelux_providers.simulator.scenario import Behaviour, Scenario
from modelux_runtime.auth import key_hash
from modelux_runtime.rpc import channel

SCENARIO = Scenario(
    behaviour=Behaviour(ttft_ms=300, per_token_ms=2, output_tokens=150, output_sigma=0.5), keep_bodies=True
)
"""Each answer takes half a second and costs about as much as every other; some reach the limit."""
MODEL, LIMIT = "gpt-4o", 256
INPUT_NANO, OUTPUT_NANO = 2_500, 10_000
"""Of one token, as the organization's own price says."""
SILENT_S = 10
"""After which the ledger charges what a spender holds."""
REST_S = 60.0
_SEAL = base64.b64encode(bytes(range(32))).decode()
_PATIENCE = Deadlines(connect_s=5.0, first_byte_s=60.0, idle_s=60.0, total_s=60.0)
_NAMES = count(1)
_THROUGH = re.compile(r"through proxy (\d+)")


class Child:
    """A process of one service. May be started again after its end, in the same folder and at the same port."""

    def __init__(self, service: str, folder: Path, **environment: str) -> None:
        self.port = free_ports()
        self._health = free_ports()
        self._log = folder / f"{service}.log"
        self._argv = [*PROGRAM, "run", service]
        self._environment = own_environment(
            **environment,
            MODELUX_ENCRYPTION_KEY=_SEAL,
            MODELUX_HEALTH_PORT=str(self._health),
            MODELUX_PROXY_PORT=str(self.port),
            MODELUX_PROXY_DATA_DIR=str(folder / "proxy"),
            MODELUX_PROXY_DRAIN_S="5",
        )
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it is ready. Fails with its log where it never is."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, env=self._environment, stdout=log, stderr=log)
        try:
            await asyncio.to_thread(processes.until, self._ready, f"{self._argv[-1]} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._log.read_text()[-2000:]}") from error

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, so that it drains and gives back what it holds; nothing where it is dead."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, 30)

    def _ready(self) -> bool:
        with suppress_unanswered():
            return call(f"http://127.0.0.1:{self._health}/readyz", timeout_s=2).status == 200
        return False


@dataclass(slots=True)
class Control:
    """The config service with one organization, over a PostgreSQL of its own."""

    target: str
    folder: Path
    _stub: Any
    _actor: pb.Actor

    async def do(self, operation: str, /, **fields: Any) -> Any:
        """One operation of the admin service in the owner's name."""
        request = ParseDict(fields, getattr(pb, f"{operation}Request")())
        request.actor.CopyFrom(self._actor)
        return await getattr(self._stub, operation)(request, timeout=20)

    async def provider(self, url: str) -> None:
        """A credential that leads to the simulator, at prices of our own."""
        await self.do(
            "CreateCredential", name="simulated", provider="openai", base_url=url + "/v1", secret="sk-simulated"
        )
        prices = {"input": INPUT_NANO * 10**6, "output": OUTPUT_NANO * 10**6}
        await self.do("CreatePrice", provider="openai", model=MODEL, **prices)

    async def budget(self, **fields: Any) -> str:
        """A new one without an end; its id."""
        given = {"name": f"b{next(_NAMES)}", "period": "total"} | fields
        return str((await self.do("CreateBudget", **given)).budget.id)

    async def account(self, budget_id: str) -> pb.BudgetAccount:
        """How the money of a budget stands by the ledger."""
        (found,) = (await self.do("GetBudgetSpend", id=budget_id)).accounts
        account: pb.BudgetAccount = found
        return account


@asynccontextmanager
async def control(folder: Path) -> AsyncIterator[Control]:
    """`folder` exists, and PostgreSQL's own account may enter it."""
    target = f"unix:{folder}/config.sock"
    with EmbeddedPostgres(folder / "pg") as postgres:
        config = Child(
            "config",
            folder,
            MODELUX_DATABASE_URL=postgres.url,
            MODELUX_BUS_URL=postgres.url,
            MODELUX_CONFIG_LISTEN=target,
            MODELUX_CONFIG_LEDGER_SILENT_S=str(SILENT_S),
        )
        await config.start()
        try:
            async with channel(target) as connection:
                stub, key = AdminServiceStub(connection), new_key("mlx_mk_")
                request = pb.BootstrapRequest(organization_name="o", project_name="p", management_key=key)
                await stub.Bootstrap(request, timeout=20)
                yield Control(target, folder, stub, pb.Actor(key_hash=key_hash(key), request_id="req_1"))
        finally:
            await config.stop()


@dataclass(slots=True)
class Outcome:
    """What came of one run. Amounts are nano-USD."""

    cap: int
    served: int = 0
    """By the providers' own books: every call that they took, whole, whoever still listened."""
    settled: int = 0
    """By the ledger, with `unknown` and `forfeited`, which were charged though nobody told what the calls cost."""
    unknown: int = 0
    forfeited: int = 0
    overrun: int = 0
    leased: int = 0
    """At rest: all calls have ended, and what a killed proxy held is accounted for."""
    left: int = 0
    """Of the cap, when a lone caller was refused at last."""
    needed: int = 0
    """By that refused call."""
    early: int = 0
    """Refusals of a lone caller while slices lay idle at other proxies, too slow to come back at a recall."""
    in_flight: int = 0
    """Calls of the proxy that providers were at work on when it was killed."""
    rest_s: float = 0.0
    """How long after the last of the concurrent calls nothing was leased any more."""
    answers: Counter[str] = field(default_factory=Counter)
    """What the concurrent callers got; `broken`: connections that ended without an answer."""

    @property
    def overshoot(self) -> int:
        return max(self.served - self.cap, 0)

    @property
    def stranded(self) -> int:
        """Neither spent nor to be had: still leased at rest, or left when a call was refused that it could pay."""
        return self.leased + (self.left if self.left >= self.needed else 0)


class Callers:
    """Calls to several proxies, each proxy in turn."""

    def __init__(self, proxies: Sequence[Child], key: str, answers: Counter[str]) -> None:
        self._origins = [Origin("http", "127.0.0.1", each.port, allow_private=True) for each in proxies]
        self._headers = ((b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json"))
        self._client = Client(Guard(allow_private=True))
        self._answers = answers

    async def at_once(self, calls: int) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(self.until_answered(number))

    async def until_answered(self, number: int) -> tuple[int, bytes]:
        """Status and body. Where a connection breaks or a 503 says so, the call is made again at the next proxy."""
        for turn in count(number):
            try:
                answer = await self._client.send(
                    self._origins[turn % len(self._origins)],
                    "POST",
                    "/v1/chat/completions",
                    self._headers,
                    _body(number, turn % len(self._origins)),
                    deadlines=_PATIENCE,
                )
                body = await answer.read(1 << 20)
            except CallFailed:
                self._answers["broken"] += 1
                await asyncio.sleep(0.1)
                continue
            self._answers[str(answer.status)] += 1
            if answer.status != 503:
                return answer.status, body
            await asyncio.sleep(1.0)
        raise AssertionError("unreachable")

    async def until_refused(self, numbers: Sequence[int]) -> bytes:
        """Calls one after the other until one is refused for want of money; the refusal."""
        for number in numbers:
            status, body = await self.until_answered(number)
            if status == 402:
                return body
            assert status == 200, body
        raise AssertionError(f"{len(numbers)} calls, and none was refused")

    async def close(self) -> None:
        await self._client.close()


def _body(number: int, proxy: int) -> bytes:
    message = {"role": "user", "content": f"Question {number}, through proxy {proxy}: what became of all the money?"}
    asked = {"model": MODEL, "messages": [message], "max_tokens": LIMIT, "stream": number % 3 == 0}
    return json.dumps(asked).encode()


async def spend(
    control: Control, simulator: Simulator, *, comes_back: bool, calls: int = 1_000, cap: int = 10**9, proxies: int = 4
) -> Outcome:
    """Makes `calls` at once, kills the proxy that is busiest, and goes on until the cap is spent.

    `comes_back`: the killed proxy is started again at once, else never.
    """
    outcome, name = Outcome(cap), f"run{next(_NAMES)}"
    project = (await control.do("CreateProject", name=name)).project.id
    key = (await control.do("CreateProxyKey", project_id=project, name=name)).secret
    budget_id = await control.budget(scope="project", scope_key=project, cap_nano=cap)
    folders = [control.folder / f"{name}-{index}" for index in range(proxies)]
    running = [_proxy(folder, control.target) for folder in folders]
    await asyncio.gather(*(each.start() for each in running))
    await simulator.use(SCENARIO)
    try:
        everyone = Callers(running, key, outcome.answers)
        async with asyncio.TaskGroup() as group:
            group.create_task(everyone.at_once(calls))
            killed, outcome.in_flight = await _busiest(simulator)
            running[killed].kill()
            if comes_back:
                group.create_task(running[killed].start())
        await everyone.close()
        outcome.rest_s = await _at_rest(control, budget_id)
        alive = running if comes_back else running[:killed] + running[killed + 1 :]
        lone = Callers(alive, key, Counter())
        await _spend_the_rest(control, budget_id, lone, outcome)
        await lone.close()
    finally:
        await asyncio.gather(*(each.stop() for each in running))
    await _read(control, budget_id, simulator, outcome)
    return outcome


def _proxy(folder: Path, config_url: str) -> Child:
    (folder / "proxy").mkdir(parents=True)
    return Child("proxy", folder, MODELUX_CONFIG_URL=config_url, MODELUX_BUS_URL="memory://capped")


async def _busiest(simulator: Simulator, at_least: int = 10) -> tuple[int, int]:
    """Waits until providers are at work on several calls of one proxy; which one, and how many of its calls."""
    async with asyncio.timeout(REST_S):
        while True:
            bodies = [each.body or "" for each in await simulator.calls() if each.ended == "open"]
            found = Counter(int(said[1]) for body in bodies if (said := _THROUGH.search(body)))
            for proxy, calls in found.most_common(1):
                if calls >= at_least:
                    return proxy, calls
            await asyncio.sleep(0.02)


async def _at_rest(control: Control, budget_id: str) -> float:
    """Waits until no spender holds anything of a budget; how long that took. Gives up after a minute."""
    began = time.monotonic()
    while (await control.account(budget_id)).leased and time.monotonic() - began < REST_S:
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def _spend_the_rest(control: Control, budget_id: str, callers: Callers, outcome: Outcome) -> None:
    """First several callers until each is refused, then one alone, with nothing reserved beside its own call.

    Where something is left that would pay for it, the lone one begins anew from rest, as long as that yields anything.
    """
    numbers = [range(10_000 * each, 10_000 * each + 1_000) for each in range(1, 17)]
    await asyncio.gather(*(callers.until_refused(each) for each in numbers))
    number = 500_000
    while True:
        await _at_rest(control, budget_id)
        account = await control.account(budget_id)
        first, number = number, number + 1_000
        told = await callers.until_refused(range(first, number))
        outcome.needed = round(float(json.loads(told)["error"]["budget"]["needed_usd"]) * 10**9)
        await _at_rest(control, budget_id)
        after = await control.account(budget_id)
        outcome.left = after.cap - after.settled - after.overrun - after.leased
        if outcome.left < outcome.needed or after.settled == account.settled:
            return
        outcome.early += 1


async def _read(control: Control, budget_id: str, simulator: Simulator, outcome: Outcome) -> None:
    account = await control.account(budget_id)
    outcome.settled, outcome.leased, outcome.overrun = account.settled, account.leased, account.overrun
    outcome.unknown, outcome.forfeited = account.unknown, account.forfeited
    for each in await simulator.calls():
        if each.status == 200 and each.endpoint == "chat":
            outcome.served += each.input_tokens * INPUT_NANO + each.output_tokens * OUTPUT_NANO
