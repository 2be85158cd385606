"""The demo's traffic: agents in runs, end users and tags, sent through the proxy like any application's."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

from modelux_providers.client import Client, Deadlines, Origin
from modelux_providers.client_errors import CallFailed
from modelux_providers.egress import Guard

REQUESTS = 3000
CONCURRENCY = 12
PAUSE_S = 0.5
SEED = 20260420

_TOPICS = (
    "summarise the incident report for the payments outage",
    "extract the invoice number, date and total from this text",
    "draft a polite reply to a customer whose parcel is late",
    "classify this ticket as billing, bug or feature request",
    "write a SQL query that lists the ten best customers by revenue",
    "translate the release note into German",
    "explain the difference between a mutex and a semaphore",
    "propose three names for a bakery by the sea",
)
_AGENTS = ("research-v2", "support-bot", "invoice-reader")
_TENANTS = ("acme", "globex", "initech", "umbrella")
_DEADLINES = Deadlines(connect_s=5, first_byte_s=60, idle_s=60, total_s=120)


def bodies(count: int, seed: int = SEED) -> Iterator[bytes]:
    """`count` chat requests: agent runs of several steps (planner, executors, a last call), and single calls."""
    rng = random.Random(seed)
    sent = 0
    while sent < count:
        steps = list(_run(rng)) if rng.random() < 0.5 else [_single(rng)]
        for body in steps[: count - sent]:
            yield json.dumps(body).encode()
            sent += 1


def _run(rng: random.Random) -> Iterator[dict[str, object]]:
    run_id = f"run_{rng.getrandbits(48):012x}"
    tags = {"run_id": run_id, "agent": rng.choice(_AGENTS), "tenant": rng.choice(_TENANTS)}
    user = f"user_{rng.randrange(40):02d}"
    topic = rng.choice(_TOPICS)
    yield _body(rng, "@planner", f"Plan the steps to {topic}.", tags, user, 400)
    for step in range(rng.randint(2, 8)):
        yield _body(rng, "@executor", f"Step {step + 1}: {topic}. Use what you know so far.", tags, user, 200)
    yield _body(rng, "@production", f"Write the final answer: {topic}.", tags, user, 600)


def _single(rng: random.Random) -> dict[str, object]:
    tags = {"tenant": rng.choice(_TENANTS), "feature": rng.choice(("chat", "search", "email"))}
    return _body(rng, "@production", rng.choice(_TOPICS), tags, f"user_{rng.randrange(40):02d}", 300)


def _body(
    rng: random.Random, model: str, prompt: str, tags: dict[str, str], user: str, max_tokens: int
) -> dict[str, object]:
    context = " ".join(rng.choice(_TOPICS) for _ in range(rng.randint(0, 6)))
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a careful assistant."},
            {"role": "user", "content": f"{prompt} {context}".strip()},
        ],
        "max_tokens": max_tokens,
        "stream": rng.random() < 0.25,
        "user": user,
        "mlx:tags": tags,
    }


async def send_demo_traffic(host: str, port: int, key: str, count: int = REQUESTS) -> None:
    """Sends `count` requests, a dozen at a time. What fails stays where it belongs: in the logs of the product."""
    queue = bodies(count)
    origin = Origin("http", host, port, allow_private=True)
    headers = ((b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json"))
    client = Client(Guard(allow_private=True))

    async def worker() -> None:
        for body in queue:
            try:
                answer = await client.send(origin, "POST", "/v1/chat/completions", headers, body, deadlines=_DEADLINES)
                await answer.read(1 << 20)
            except CallFailed:  # the proxy is being started again
                await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(worker())
