"""Production-shaped load on the whole product: real arrivals and token counts, compressed in time, a provider failing.

The arrivals are Azure's (Patel et al., ISCA 2024, CC BY 4.0), two services merged; they are read where they lie and no
part of them is kept. While the middle third is sent, the first provider of the chain fails in every way that another
provider can make good.
"""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from heapq import merge
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import processes
from stack import Product, Project, call, data_folder, free_ports, simulator, suppress_unanswered

from modelux_providers.client import CallFailed, Client, Deadlines, Limits, Origin, Response
from modelux_providers.egress import Guard
from modelux_runtime.settings import child_environment

FILES = ("AzureLLMInferenceTrace_code.csv", "AzureLLMInferenceTrace_conv.csv")
LAST_TIMEOUT_MS = 60_000
_QUICK = {"ttft_ms": 20.0, "ttft_sigma": 0.4, "join": 16}
_FAILS = (
    (0.55, {"status": 503}),
    (0.4, {"status": 429, "retry_after": "1"}),
    (0.15, {"reset_before": True}),
    (0.1, {"body": "html"}),
    (0.03, {"hang_headers": True}),
)
"""Shares of the calls to the failing provider, the last one that hits counts; the rest of them is answered."""
AT_ONCE = 400
"""Requests in flight at most, unless told otherwise: a machine that cannot keep up makes arrivals late, which the
latencies count, and does not pile them up until providers time out.
"""
_PATIENCE = Deadlines(connect_s=10.0, first_byte_s=60.0, idle_s=60.0, total_s=120.0)
_WORDS = "the quick brown fox jumps over the lazy dog and asks a model to go on with it; "
_LOGGED_S = 180.0
_LOOKED_UP = 300


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of the trace."""

    at_s: float
    """Since the first one."""
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Sent:
    """One request as its caller saw it."""

    arrival: Arrival
    stream: bool
    status: int = 0
    request_id: str = ""
    whole: bool = False
    error: str = ""
    """The code of the error, or how the connection failed; "" where all went well."""
    latency_s: float = 0.0
    """From the moment it was due."""
    ended_s: float = 0.0
    late_s: float = 0.0
    """How long after its time it was sent."""


@dataclass(slots=True)
class Figures:
    """What came of it. `duplicates`: rows beyond one per request; `missing`: requests without a row."""

    requests: int
    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    late_p99_ms: float
    failed: int
    failovers: int
    attempts: int
    by_provider: Mapping[str, int]
    rows: int
    duplicates: int
    missing: int
    strange: int
    """Rows of requests that were never sent."""
    tokens_off: int
    """Rows whose token counts are not the trace's."""
    last_row_s: float
    """From the end of the load until every row could be queried; -1 where some never could."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind: status and error code, or how the connection failed."""
    tried: Mapping[str, int] = field(default_factory=dict)
    """How the attempts of failed requests ended, as the log has them; of the first few hundred."""

    def line(self) -> str:
        return json.dumps({"bench": "load", **asdict(self)})


def data_folder_of_traces() -> Path | None:
    """Where the traces are: `azure_llm` in MODELUX_TEST_DATA, or beside the checkout; None where they are not."""
    given = child_environment({}).get("MODELUX_TEST_DATA")
    folder = (Path(given) if given else Path(__file__).parents[3] / "shared" / "data") / "azure_llm"
    return folder if all((folder / name).exists() for name in FILES) else None


def arrivals(folder: Path, count: int, rps: float) -> list[Arrival]:
    """The first `count` arrivals of both services in order, with their gaps shrunk to `rps` on average."""
    found = list(islice(merge(*(_read(folder / name) for name in FILES)), count))
    first, span = found[0][0], found[-1][0] - found[0][0]
    pace = count / rps / span
    return [Arrival((at - first) * pace, given, made) for at, given, made in found]


def _read(file: Path) -> Iterator[tuple[float, int, int]]:
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            moment = datetime.fromisoformat(row["TIMESTAMP"][:26] + "+00:00")
            yield moment.timestamp(), int(row["ContextTokens"]), max(int(row["GeneratedTokens"]), 1)


def scenario(length_s: float) -> Mapping[str, object]:
    """Quick answers, and one provider that fails from a third to two thirds of the time from now on."""
    window = {"from_s": length_s / 3, "until_s": 2 * length_s / 3}
    rules = [
        {"match": {"path": "/openai/"}, "rate": rate, "window": window, "behaviour": behaviour}
        for rate, behaviour in _FAILS
    ]
    return {"behaviour": _QUICK, "rules": rules, "keep_calls": 1000}


def policy(last_timeout_ms: int) -> Mapping[str, object]:
    """The chain that the load calls."""
    first = {"model": "gpt-4o-mini", "timeout_ms": 3000}
    last = {"model": "claude-haiku-4-5", "timeout_ms": last_timeout_ms}
    retry_on = ["429", "5xx", "timeout", "connect", "cut", "invalid"]
    return {"strategy": "fallback", "attempts": [first, last], "retry_on": retry_on}


def run(
    product: Product, wanted: Sequence[Arrival], at_once: int = AT_ONCE, last_timeout_ms: int = LAST_TIMEOUT_MS
) -> Figures:
    """Sends everything through a running product with the two simulated providers, then reads the log back."""
    project = product.project("load", policy(last_timeout_ms))
    told = call(f"{product.provider_url}/simulator/scenario", scenario(wanted[-1].at_s))
    assert told.status == 200, told.body
    began = time.monotonic()
    sent = asyncio.run(_send_all(product.port, project.key, wanted, at_once))
    took_s = time.monotonic() - began
    last_row_s, rows = _until_queryable(product, project, sent)
    return _figures(sent, took_s, last_row_s, rows, _tried(product, sent))


async def _send_all(port: int, key: str, wanted: Sequence[Arrival], at_once: int) -> list[Sent]:
    """An open loop: each request leaves at its time, however long the others take, as long as there is room."""
    client = Client(Guard(allow_private=True), limits=Limits(connections=at_once, idle=AT_ONCE))
    origin = Origin("http", "127.0.0.1", port, allow_private=True)
    headers = ((b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json"))
    all_sent = [Sent(arrival, stream=number % 4 == 0) for number, arrival in enumerate(wanted)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    room = asyncio.Semaphore(at_once)

    async def one(number: int, sent: Sent) -> None:
        due = began + sent.arrival.at_s
        async with room:
            sent.late_s = loop.time() - due
            try:
                answer = await client.send(
                    origin, "POST", "/v1/chat/completions", headers, _body(number, sent), deadlines=_PATIENCE
                )
                await _read_answer(sent, answer)
            except CallFailed as failure:
                sent.error = f"{type(failure).__name__}: {failure}"
        sent.ended_s = loop.time()
        sent.latency_s = sent.ended_s - due

    async with asyncio.TaskGroup() as group:
        for number, sent in enumerate(all_sent):
            await asyncio.sleep(max(0.0, began + sent.arrival.at_s - loop.time()))
            group.create_task(one(number, sent))
    await client.close()
    return all_sent


def _body(number: int, sent: Sent) -> bytes:
    """A prompt of the trace's length; a directive makes the simulator answer with the trace's length."""
    arrival = sent.arrival
    ask = f"[[sim: input_tokens={arrival.input_tokens} output_tokens={arrival.output_tokens}]]"
    text = (_WORDS * (4 * arrival.input_tokens // len(_WORDS) + 1))[: 4 * arrival.input_tokens]
    body = {
        "model": "@it",
        "messages": [{"role": "system", "content": text}, {"role": "user", "content": f"{ask} Go on."}],
        "max_tokens": arrival.output_tokens,
        "stream": sent.stream,
        "user": f"user-{number % 500}",
        "mlx:tags": {"n": str(number)},
    }
    return json.dumps(body).encode()


async def _read_answer(sent: Sent, response: Response) -> None:
    sent.status = response.status
    sent.request_id = response.headers.get(b"x-request-id", b"").decode()
    if not sent.stream or sent.status != 200:
        body = await response.read(1 << 24)
        sent.whole = sent.status == 200
        sent.error = "" if sent.whole else _code(body)
        return
    tail = b""
    while data := await response.chunk():
        tail = (tail + data)[-64:]
    sent.whole = tail.endswith(b"data: [DONE]\n\n")
    sent.error = "" if sent.whole else "stream ended without [DONE]"
    response.release()


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return body[:80].decode(errors="replace")


def _until_queryable(product: Product, project: Project, sent: Sequence[Sent]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds until the log shows the request that ended last and, read page by page, all others; and its rows.

    Events of a project travel in order, so that the first reading is complete unless something was lost.
    """
    last = max(sent, key=lambda each: each.ended_s).request_id
    rows: list[dict[str, Any]] = []
    found_s = 0.0

    def complete() -> bool:
        nonlocal rows, found_s
        with suppress_unanswered():
            if product.manage(f"/logs/{last}").status != 200:
                return False
            found_s = time.monotonic() - began
            rows = product.log(project)
        return len(rows) >= len(sent)

    began = time.monotonic()
    try:
        processes.until(complete, f"{len(sent)} requests in the log", _LOGGED_S, pause_s=0.1)
    except AssertionError:
        found_s = -1.0
    return found_s, rows


def _tried(product: Product, sent: Sequence[Sent]) -> Counter[str]:
    found: Counter[str] = Counter()
    for request_id in islice((each.request_id for each in sent if not each.whole and each.request_id), _LOOKED_UP):
        answer = product.manage(f"/logs/{request_id}")
        attempts = answer.json()["data"]["attempt_log"] if answer.status == 200 else []
        ends = (f"{each['provider']} {each['outcome']} {each['status'] or ''}".strip() for each in attempts)
        found[", then ".join(ends)] += 1
    return found


def _figures(
    sent: Sequence[Sent], took_s: float, last_row_s: float, rows: Sequence[Mapping[str, Any]], tried: Mapping[str, int]
) -> Figures:
    ids = {each.request_id for each in sent}
    logged = Counter(str(row["request_id"]) for row in rows)
    by_id = {each.request_id: each.arrival for each in sent}
    percent = quantiles([each.latency_s * 1000 for each in sent], n=100)
    failures = Counter(f"{each.status} {each.error}" for each in sent if not each.whole)
    return Figures(
        requests=len(sent),
        rps=round(len(sent) / took_s, 1),
        p50_ms=round(percent[49], 1),
        p95_ms=round(percent[94], 1),
        p99_ms=round(percent[98], 1),
        late_p99_ms=round(quantiles([each.late_s * 1000 for each in sent], n=100)[98], 1),
        failed=sum(failures.values()),
        failovers=sum(1 for row in rows if row["attempts"] > 1),
        attempts=sum(int(row["attempts"]) for row in rows),
        by_provider=dict(Counter(str(row["provider"]) for row in rows)),
        rows=len(rows),
        duplicates=len(rows) - len(logged),
        missing=len(ids - logged.keys()) + len(sent) - len(ids),
        strange=len(logged.keys() - ids),
        tokens_off=sum(1 for row in rows if not _tokens_right(row, by_id.get(str(row["request_id"])))),
        last_row_s=round(last_row_s, 2),
        failures=dict(failures),
        tried=dict(tried),
    )


def _tokens_right(row: Mapping[str, Any], arrival: Arrival | None) -> bool:
    usage = row["usage"]
    return arrival is not None and (usage["input"], usage["output"]) == (arrival.input_tokens, arrival.output_tokens)


@contextmanager
def running() -> Iterator[Product]:
    """`modelux up` with an OpenAI and an Anthropic credential that lead to a simulator of its own."""
    with simulator({"behaviour": _QUICK}) as url, data_folder() as folder:
        product = Product(folder, free_ports(), url).start()
        try:
            product.provider("simulated openai", "openai", "/openai/v1")
            product.provider("simulated anthropic", "anthropic", "/anthropic/v1")
            yield product
        finally:
            product.stop()
