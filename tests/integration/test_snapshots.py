"""A proxy takes over good configurations alone: all else is refused whole and counted, and the last good one serves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import processes
import psycopg
import pytest
from fake_config import FakeConfig, LoneProxy, snapshot, until, whole
from stack import Product, data_folder, free_ports

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_runtime.rpc import MAX_MESSAGE_BYTES

GOOD = {"strategy": "single", "model": "gpt-4o-mini"}


@pytest.fixture
async def followed(providers: str) -> AsyncIterator[tuple[FakeConfig, LoneProxy, str]]:
    """A proxy process that serves version 5, and the service it follows."""
    with data_folder() as folder:
        folder.mkdir()
        target, config = f"unix:{folder}/config.sock", FakeConfig()
        base_url = f"{providers}/openai/v1"
        config.send(whole(snapshot(5, base_url, GOOD)))
        async with config.serving(target):
            with LoneProxy(folder, target).running() as proxy:
                await until(lambda: proxy.serves() == "5", "version 5 serves")
                yield config, proxy, base_url


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda url: whole(snapshot(3, url, GOOD)), id="older"),
        pytest.param(lambda url: whole(snapshot(6, url, {"strategy": "no such"})), id="a policy that is none"),
        pytest.param(lambda url: whole(snapshot(6, url, GOOD | {"model": "@it"})), id="a policy that calls itself"),
        pytest.param(lambda url: whole(snapshot(6, url, GOOD))[:-40], id="truncated"),
        pytest.param(lambda url: b"\xff" * 64, id="no message at all"),
        pytest.param(lambda url: b"\x0a" + bytes([0xFF] * 9) + b"\x01", id="a length beyond the end"),
        pytest.param(lambda url: whole(pb.Snapshot(version=6)) + b"\0" * MAX_MESSAGE_BYTES, id="oversize"),
        pytest.param(
            lambda url: pb.WatchSnapshotResponse(
                change=pb.Change(version=6, keys=[pb.ProxyKey(id="k", project_id="nobody", hash=bytes(32))])
            ).SerializeToString(),
            id="a change that fits nothing",
        ),
    ],
)
async def test_a_bad_snapshot_is_refused_and_the_old_one_serves_until_a_good_one_comes(followed, bad) -> None:
    config, proxy, url = followed
    config.send(bad(url))
    await until(lambda: proxy.refused() >= 1, "it is refused and counted")
    assert await asyncio.to_thread(proxy.serves) == "5"
    config.send(whole(snapshot(7, url, GOOD)))
    await until(lambda: proxy.serves() == "7", "the next good one serves")


async def test_the_last_good_snapshot_serves_after_a_restart_with_nobody_to_ask(providers: str) -> None:
    with data_folder() as folder:
        folder.mkdir()
        target, config = f"unix:{folder}/config.sock", FakeConfig()
        config.send(whole(snapshot(5, f"{providers}/openai/v1", GOOD)))
        config.send(whole(snapshot(6, f"{providers}/openai/v1", GOOD)))
        lone = LoneProxy(folder, target)
        async with config.serving(target):
            with lone.running():
                await until(lambda: lone.serves() == "6", "version 6 serves")
        with lone.running():
            await until(lambda: lone.serves() == "6", "version 6 serves without the config service")


@pytest.fixture
def own(providers: str) -> Iterator[Product]:
    with data_folder() as folder:
        running = Product(folder, free_ports(), providers).start()
        running.provider("simulated openai", "openai", "/openai/v1")
        try:
            yield running
        finally:
            running.stop()


_BREAK = """
INSERT INTO config.routing_config_versions (routing_config_id, version, policy, policy_type, created_by, created_at_us)
VALUES (%(config)s, 2, %(policy)s, 'single', 'a person with psql', 0)"""


def test_what_somebody_writes_past_the_api_into_the_database_is_refused_and_mended(own: Product) -> None:
    project = own.project("psql", GOOD)
    bad = json.dumps({"strategy": "single", "model": "@it"})

    def write(*statements: str) -> None:
        with psycopg.connect(own.environment("config")["MODELUX_DATABASE_URL"], connect_timeout=5) as connection:
            connection.execute("SET session_replication_role = replica")  # past the triggers that demand an audit row
            for statement in statements:
                connection.execute(statement, {"config": project.config_id, "policy": bad})
            connection.execute("UPDATE config.snapshot_version SET version = version + 1")

    write(_BREAK, "UPDATE config.routing_configs SET active_version = 2 WHERE id = %(config)s")
    processes.until(lambda: own.metric("modelux_proxy_snapshots_refused") >= 1, "the snapshot is refused")
    answer = own.chat(project.key)
    assert (answer.status, answer.headers["x-modelux-config-version"]) == (200, "1")
    assert own.ready("proxy")
    write(
        "UPDATE config.routing_configs SET active_version = 1 WHERE id = %(config)s",
        "DELETE FROM config.routing_config_versions WHERE version = 2 AND routing_config_id = %(config)s",
    )
    other = own.project("after", GOOD)
    assert own.chat(other.key).status == 200
