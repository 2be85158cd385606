"""Spend through the whole product: budgets by command, runaway agents, more proxies, and the providers' books."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from google.protobuf.message import Message
from openai import APIStatusError, DefaultHttpxClient, OpenAI
from processes import until
from stack import PROGRAM, Answer, Product, Project, call, free_ports, own_environment, suppress_unanswered

from modelux_contracts import codec
from modelux_contracts.topics import Topic

DEAR, CHEAP = "gpt-4o", "gpt-4o-mini"
NANO_PER_TOKEN = {DEAR: (2_500, 10_000), CHEAP: (150, 600)}
"""Input and output, as the vendor's list of prices has them."""
MOST_CALLS = 2_000
E = TypeVar("E", bound=Message)


@dataclass(slots=True)
class Run:
    """What came of an agent that goes on until it is refused."""

    id: str
    answers: list[Mapping[str, str]] = field(default_factory=list)
    refusal: APIStatusError | None = None
    requests: int = 0
    """That left, repeats included."""

    @property
    def models(self) -> list[str]:
        return [headers["x-modelux-model"] for headers in self.answers]

    def last(self, model: str) -> str:
        """The id of the last request that a model served."""
        return next(str(h["x-request-id"]) for h in reversed(self.answers) if h["x-modelux-model"] == model)


def cli(product: Product, *words: str) -> str:
    """What a command prints; it succeeds."""
    argv = [*PROGRAM, *words, "--data-dir", str(product.data_dir)]
    ended = subprocess.run(argv, env=own_environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def budget(product: Product, project: Project, *words: str) -> str:
    """A budget within a project; its id."""
    return str(json.loads(cli(product, "budgets", "create", "--project", project.id, *words, "--json"))["id"])


def in_force(product: Product, project: Project, *, tags: dict[str, str]) -> None:
    """Waits until the proxy holds calls with these tags to a budget."""
    asked = {"model": CHEAP, "max_tokens": 1, "mlx:tags": tags}
    until(lambda: "x-modelux-budget-remaining-usd" in product.chat(project.key, **asked).headers, "a budget holds", 10)


def runaway(product: Product, project: Project, run_id: str) -> Run:
    """An agent in an endless loop: the OpenAI SDK as it comes, one question over and over."""
    run = Run(run_id)

    def count(request: object) -> None:
        run.requests += 1

    with (
        DefaultHttpxClient(event_hooks={"request": [count]}) as http,
        OpenAI(base_url=product.endpoints["proxy_url"], api_key=project.key, http_client=http) as client,
    ):
        while True:
            assert len(run.answers) < MOST_CALLS, "nothing stops the run"
            try:
                answer = client.chat.completions.with_raw_response.create(
                    model=DEAR,
                    messages=[{"role": "user", "content": f"What is the next step of {run_id}?"}],
                    max_tokens=300,
                    extra_body={"mlx:tags": {"run_id": run_id}},
                )
            except APIStatusError as refusal:
                run.refusal = refusal
                return run
            run.answers.append(answer.headers)


def ask(url: str, project: Project, run_id: str, tag: str = "run_id", more: str = "") -> Answer:
    """One call of a run through any proxy; `more` is added to the prompt."""
    message = {"role": "user", "content": f"What is the next step of {run_id}?{more}"}
    asked = {"model": DEAR, "messages": [message], "max_tokens": 300, "mlx:tags": {tag: run_id}}
    return call(url + "/chat/completions", asked, key=project.key)


def code(answer: Answer) -> str:
    """`200`, or status and code of an error."""
    return "200" if answer.status == 200 else f"{answer.status} {answer.json()['error']['code']}"


def served(product: Product, run_id: str) -> int:
    """What a run cost by the providers' own books, nano-USD: every call that they answered, whoever still listened."""
    total = 0
    for each in call(product.provider_url + "/simulator/calls").json()["calls"]:
        if each["status"] == 200 and f"step of {run_id}?" in (each["body"] or ""):
            for_input, for_output = NANO_PER_TOKEN[each["model"]]
            total += each["input_tokens"] * for_input + each["output_tokens"] * for_output
    return total


def under_way(product: Product, words: str) -> bool:
    """Whether a provider works on a call whose prompt holds these words."""
    calls = call(product.provider_url + "/simulator/calls").json()["calls"]
    return any(each["ended"] == "open" and words in (each["body"] or "") for each in calls)


def spend(product: Product, budget_id: str, run_id: str) -> dict[str, Any]:
    """Where a run stands by the ledger."""
    (row,) = product.manage(f"/budgets/{budget_id}/spend", value=run_id).json()["data"]
    found: dict[str, Any] = row
    return found


def nano(dollars: float) -> int:
    return round(dollars * 10**9)


def balanced(product: Product, budget_id: str, run_id: str, within_s: float = 40.0) -> dict[str, Any]:
    """The ledger against the log, once they agree; nothing is leased any more."""
    rows: list[dict[str, Any]] = []

    def agreed() -> bool:
        words = ("budgets", "reconcile", budget_id, "--value", run_id, "--json")
        rows[:] = json.loads(cli(product, *words))
        return len(rows) == 1 and rows[0]["balanced"] and not rows[0]["reserved_usd"]

    try:
        until(agreed, f"the ledger agrees with the log on {run_id}", within_s, 0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {rows}") from error
    return rows[0]


def events(product: Product, topic: Topic, kind: type[E], budget_id: str) -> list[E]:
    """All messages of a topic on the bus that are about a budget."""
    sql = "SELECT value FROM bus.record JOIN bus.topic t ON t.id = topic_id WHERE t.name = %s ORDER BY record.offset"
    with psycopg.connect(product.environment("config")["MODELUX_DATABASE_URL"], connect_timeout=30) as connection:
        found = [codec.decode(kind, bytes(value)) for (value,) in connection.execute(sql, [topic.name])]
    return [event for event in found if getattr(event, "budget_id", "") == budget_id]


@contextmanager
def more_proxies(product: Product, count: int) -> Iterator[Sequence[str]]:
    """That many proxies beside the product's own, on the same ledger and bus; their URLs."""
    with ExitStack() as stack:
        yield [stack.enter_context(_proxy(product, product.data_dir.parent / f"proxy-{n}")) for n in range(count)]


@contextmanager
def _proxy(product: Product, folder: Path) -> Iterator[str]:
    port, health = free_ports(), free_ports()
    environment = product.environment("proxy") | {
        "MODELUX_PROXY_PORT": str(port),
        "MODELUX_PROXY_DATA_DIR": str(folder),
        "MODELUX_HEALTH_PORT": str(health),
    }
    with folder.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen([*PROGRAM, "run", "proxy"], env=environment, stdout=log, stderr=log)

    def ready() -> bool:
        with suppress_unanswered():
            return call(f"http://127.0.0.1:{health}/readyz", timeout_s=2).status == 200
        return False

    try:
        until(ready, f"the proxy in {folder} is ready")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)
