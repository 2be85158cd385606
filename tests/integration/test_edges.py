"""Every edge of the house carries a message: each topic of the registry from its producer to each declared consumer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message as Proto
from processes import until
from stack import Product, Project

from experiment_core.similarity import BUCKETS
from modelux.events.v1.config_pb2 import ConfigChanged
from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import Delivery
from modelux_bus.connect import open_bus
from modelux_cli.services import SERVICES
from modelux_contracts import codec
from modelux_contracts.topics import TOPICS, Topic

POLICY = {"strategy": "single", "model": "gpt-4o-mini"}
UNPRICED = "model-without-a-price"
CALLED = 20
_NUMBERS = count(1)
JUDGED_S = 1.0
"""Ingest judges a target by ten attempts or more, and at most twice a second of the events' own time."""


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    return product.project("edges", POLICY)


def complete_a_request(product: Product, project: Project) -> Callable[[Any], bool]:
    request_id = product.chat(project.key).headers["x-request-id"]
    return lambda event: isinstance(event, RequestCompleted) and event.request_id == request_id


def let_a_provider_fail(product: Product, project: Project) -> Callable[[Any], bool]:
    """A model that nothing else uses, so that its window holds failures alone."""
    broken = [{"role": "user", "content": "[[sim: status=500]]"}]
    began_s = time.monotonic()

    def fails_long_enough() -> bool:
        assert product.chat(project.key, model="gpt-4o", messages=broken).status == 500
        return time.monotonic() - began_s > JUDGED_S

    until(fails_long_enough, "failures for a while", pause_s=0.04)
    return lambda event: isinstance(event, ProviderHealthChanged) and (event.model, event.state) == ("gpt-4o", "down")


def change_a_config(product: Product, project: Project) -> Callable[[Any], bool]:
    made = product.made(f"/routing-configs/{project.config_id}/versions", {"policy": POLICY, "activate": True})
    wanted = (project.config_id, made["version"])
    return lambda event: isinstance(event, ConfigChanged) and (event.entity_id, event.version) == wanted


def import_history(product: Product, project: Project) -> Callable[[Any], bool]:
    row = {"model": "gpt-4o", "input_tokens": 1, "output_tokens": 1, "started_at": time.time() - 60}
    answer = product.manage("/logs/import", row, project_id=project.id, source="edges")
    assert answer.json()["data"]["imported"] == 1, answer.body
    return lambda event: (
        isinstance(event, RequestCompleted)
        and (event.project_id, event.source)
        == (
            project.id,
            "edges",
        )
    )


def run_an_experiment(product: Product, project: Project) -> Callable[[Any], bool]:
    """Over one imported request, so that there are results."""
    import_history(product, project)
    product.until_logged(project, 1)
    day = timedelta(days=1)
    body = {
        "name": "edges",
        "projectId": project.id,
        "candidatePolicy": "single",
        "candidateConfig": {"model": "gpt-4o-mini"},
        "windowStart": (datetime.now(UTC) - day).isoformat(),
        "windowEnd": datetime.now(UTC).isoformat(),
    }
    made = product.made("/experiments", body)
    return lambda event: getattr(event, "experiment_id", "") == made["id"]


def call_a_candidate(product: Product, project: Project) -> Callable[[Any], bool]:
    """With the one logged request of a project, under a cap: its call, its answers and their score go over the bus."""
    project, made = _with_responses(product)
    return lambda event: (
        (event.source, event.project_id) == ("experiment", project.id)
        if isinstance(event, RequestCompleted)
        else _field(event, "experiment_id") == made["id"]
    )


def judge_an_experiment(product: Product, project: Project) -> Callable[[Any], bool]:
    """Its one pair: the call to the judge and its verdict go over the bus."""
    project, experiment = _with_responses(product)
    path = f"/experiments/{experiment['id']}"

    def ended() -> bool:
        return bool(product.manage(path).json()["data"]["status"] == "completed")

    until(ended, "the experiment has ended", within_s=60)
    made = product.made(f"{path}/judge", {"judgeModel": "gpt-4o-mini", "stratification": dict.fromkeys(BUCKETS, 1)})
    return lambda event: (
        (event.source, event.project_id) == ("judge", project.id)
        if isinstance(event, RequestCompleted)
        else event.judge_run_id == made["id"]
    )


def _with_responses(product: Product) -> tuple[Project, Any]:
    """An experiment that calls its candidate with the one request of a project of its own."""
    number = next(_NUMBERS)
    project = product.project(f"edges {number}", POLICY)
    product.chat(project.key)
    product.until_logged(project, 1)
    allowed = product.manage(f"/projects/{project.id}", {"experimentSampleMin": 1}, method="PATCH")
    assert allowed.status == 200, allowed.body
    now = datetime.now(UTC)
    body = {
        "name": f"edges {number}",
        "projectId": project.id,
        "candidatePolicy": "single",
        "candidateConfig": {"model": "gpt-4o"},
        "windowStart": (now - timedelta(days=1)).isoformat(),
        "windowEnd": now.isoformat(),
        "mode": "with_responses",
        "sample": {"size": 1, "method": "random"},
        "spendCapUsd": 1,
    }
    return project, product.made("/experiments", body)


def fail_a_schedule(product: Product, project: Project) -> Callable[[Any], bool]:
    """Its one run is asked for what it does not show: that the candidate fails on 90 % more."""
    project = product.project(f"edges {next(_NUMBERS)}", POLICY)
    for _ in range(CALLED):
        product.chat(project.key)
    product.until_logged(project, CALLED)
    impossible = {"metric": "error_rate_delta_pct", "op": ">=", "value": 90}
    body = {
        "name": "edges",
        "projectId": project.id,
        "cron": "0 6 * * *",
        "window": "1h",
        "experiment": {"candidatePolicy": "single", "candidateConfig": {"model": "gpt-4o-mini"}},
        "successCriteria": {"predicates": [impossible], "min_sample_size": 5},
    }
    made = product.made("/experiment-schedules", body)
    product.made(f"/experiment-schedules/{made['id']}/fire", {})
    return lambda event: event.schedule_id == made["id"]


def roll_out(product: Product, project: Project) -> Callable[[Any], bool]:
    """A promoted experiment, started to be rolled out and cancelled."""
    project = product.project(f"edges {next(_NUMBERS)}", POLICY)
    wanted = run_an_experiment(product, project)
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        found[:] = product.manage("/experiments", project_id=project.id).json()["data"]
        return bool(found[0]["status"] == "completed")

    until(ended, "the experiment has ended")
    experiment = found[0]["id"]
    product.made(f"/experiments/{experiment}/promote", {"slug": "it", "mode": "ab_test", "weight": 0.01})
    made = product.made("/rollouts", {"experimentId": experiment})
    assert product.manage(f"/rollouts/{made['id']}/cancel", method="POST").status == 200
    return lambda event: wanted(event) and event.rollout_id == made["id"]


def run_away(product: Product, project: Project) -> Callable[[Any], bool]:
    """A run that asks the same until it is refused: it loops, passes half of its cap, reaches it and is aborted."""
    tag = f"run_{next(_NUMBERS)}"
    guard = {"name": tag, "projectId": project.id, "scope": "tag", "scopeKey": tag, "each": True, "maxCalls": 4}
    made = product.made("/budgets", guard | {"loopCalls": 2, "alertPercents": [50]})
    until(lambda: product.chat(project.key, **{"mlx:tags": {tag: "away"}}).status == 402, "the run is refused")
    return lambda event: (event.budget_id, event.value) == (made["id"], "away")


def call_what_has_no_price(product: Product, project: Project) -> Callable[[Any], bool]:
    product.provider("without a price", "openai", "/openai/v1", models=[UNPRICED])
    until(lambda: product.chat(project.key, model=UNPRICED).status == 200, "the model is offered")
    return lambda event: (event.project_id, event.model) == (project.id, UNPRICED)


PRODUCE: Mapping[str, Callable[[Product, Project], Callable[[Any], bool]]] = {
    "request.completed": complete_a_request,
    "log.imported": import_history,
    "provider.health_changed": let_a_provider_fail,
    "config.changed": change_a_config,
    "budget.alert": run_away,
    "budget.exceeded": run_away,
    "run.aborted": run_away,
    "run.looping": run_away,
    "price.unknown": call_what_has_no_price,
    "experiment.commands": run_an_experiment,
    "experiment.results": run_an_experiment,
    "experiment.completed": run_an_experiment,
    "experiment.regression_detected": fail_a_schedule,
    "rollout.changed": roll_out,
    "experiment.samples": call_a_candidate,
    "experiment.calls": call_a_candidate,
    "experiment.pairs": call_a_candidate,
    "experiment.scores": call_a_candidate,
    "judge.commands": judge_an_experiment,
    "judge.calls": judge_an_experiment,
    "judge.verdicts": judge_an_experiment,
    "judge.completed": judge_an_experiment,
}
"""What makes the producer of each topic speak; answers how to recognise what it said."""


def key_of(topic: Topic, event: Proto) -> bytes:
    """The message key that the registry promises: the named fields, joined."""
    return re.sub(r"\w+", lambda named: str(_field(event, named[0])), topic.key).encode()


def _field(event: Any, name: str) -> object:
    """Of a score: of the pair that it is of."""
    return getattr(event, name) if hasattr(event, name) else getattr(event.pair, name)


async def read_until(url: str, topic: Topic, wanted: Callable[[Any], bool]) -> tuple[Delivery, Proto]:
    """Reads the topic as a group of its own until the wanted event comes."""
    bus = open_bus(url)
    try:
        async with asyncio.timeout(30), bus.subscribe(f"test-edges-{topic.name}", [topic.name]) as member:
            while True:
                for delivery in await member.fetch(500, 1.0):
                    event = codec.decode(topic.message, delivery.message.value, delivery.message.headers)
                    if wanted(event):
                        return delivery, event
    finally:
        await bus.close()


def test_every_topic_is_exercised() -> None:
    assert set(PRODUCE) == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
async def test_a_message_goes_down_the_edge(product: Product, project: Project, topic: Topic) -> None:
    url = product.environment("config")["MODELUX_BUS_URL"]
    wanted = await asyncio.to_thread(PRODUCE[topic.name], product, project)
    delivery, event = await read_until(url, topic, wanted)
    assert delivery.message.key == key_of(topic, event)
    assert delivery.message.headers == codec.headers(topic.name)
    assert delivery.message.id


@pytest.mark.parametrize("topic", TOPICS.values(), ids=lambda topic: topic.name)
def test_the_registry_names_services_and_exactly_those_subscribe(product: Product, topic: Topic) -> None:
    assert {topic.producer, *topic.consumers} <= set(SERVICES)
    with psycopg.connect(product.environment("config")["MODELUX_BUS_URL"], connect_timeout=5) as connection:
        found = connection.execute("SELECT group_name FROM bus.member WHERE %s = ANY (topics)", (topic.name,))
        groups = {str(name) for (name,) in found.fetchall()}
    own = f"test-edges-{topic.name}"
    # Every proxy hears every message, so each has a group of its own.
    assert {name.partition("-")[0] for name in groups - {own}} == set(topic.consumers)


def test_ingest_takes_what_the_proxy_completed(product: Product, project: Project) -> None:
    request_id = product.chat(project.key, user="edge").headers["x-request-id"]
    rows = product.until_logged(project, 1)
    while request_id not in {row["request_id"] for row in rows}:
        rows = product.until_logged(project, len(rows) + 1)
    assert next(row for row in rows if row["request_id"] == request_id)["end_user_id"] == "edge"
