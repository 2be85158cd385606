"""The three buses that the conformance suite runs on."""

from __future__ import annotations

import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from modelux_bus import kafka, postgres
from modelux_bus.base import Bus, Subscription
from modelux_bus.memory import MemoryBus
from modelux_embedded.postgres import EmbeddedPostgres

sys.path.insert(0, str(Path(__file__).parent))
from dying_member import Dead, die_in_process, die_with_process
from kafka_broker import KafkaBroker, Unavailable

POSTGRES = postgres.Settings(deadline_s=5.0, grace_s=2.0)
KAFKA = kafka.Settings(deadline_s=8.0)
MINUTES_S = 300.0


@dataclass(frozen=True)
class Place:
    """A bus to test: `connect` gives another client of it, `patient` one whose groups miss a silent member only after
    minutes, `die` a member that reads and dies without a word.
    """

    name: str
    url: str
    connect: Callable[[], Bus]
    patient: Callable[[], Bus]
    die: Callable[[Bus, str, str], AbstractAsyncContextManager[Dead]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    # Not pytest's folder: that is private to root, and the server runs as another account.
    folder = tempfile.mkdtemp(prefix="mlx-bus-pg-")
    with EmbeddedPostgres(folder, fast=True) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaBroker]:
    try:
        broker = KafkaBroker()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with broker:
        yield broker


@pytest.fixture(scope="session")
def postgres_url(postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.create_database("bus_conformance")


@pytest.fixture(params=["memory", "postgres", pytest.param("kafka", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest) -> Place:
    match request.param:
        case "memory":
            bus = MemoryBus()
            return Place("memory", "memory://", lambda: bus, lambda: bus, die_in_process)
        case "postgres":
            url = request.getfixturevalue("postgres_url")
            connects = [
                partial(postgres.PostgresBus, url, replace(POSTGRES, alive_s=each)) for each in (1.0, MINUTES_S)
            ]
            return Place("postgres", url, *connects, die_with_process(url))
        case _:
            servers = request.getfixturevalue("kafka_server").servers
            url = f"kafka://{servers}"
            connects = [partial(kafka.KafkaBus, servers, replace(KAFKA, session_s=each)) for each in (1.5, MINUTES_S)]
            return Place("kafka", url, *connects, die_with_process(url))


@pytest.fixture
async def bus(place: Place) -> AsyncIterator[Bus]:
    opened = place.connect()
    yield opened
    await opened.close()


@pytest.fixture
def topic() -> str:
    return f"test.{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def joined(bus: Bus, group: str, topic: str) -> AsyncIterator[Subscription]:
    async with bus.subscribe(group, [topic]) as member:
        yield member
