"""The shipping process against a real bus: everything arrives, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from modelux_bus.connect import open_bus
from modelux_bus.cursor import Cursor
from modelux_bus.journal import Journal
from modelux_contracts.topics import REQUEST_COMPLETED, partitions
from modelux_embedded.postgres import temporary_postgres
from modelux_proxy.emit import Emitter
from modelux_proxy.ship import payload
from modelux_proxy.shipper import read


def request_id(number: int) -> str:
    return f"req_{number:026}"


def test_reading_beside_the_writer_gives_what_it_wrote_up_to_where_it_says(tmp_path: Path):
    journal = Journal(tmp_path, 10_000_000, segment_bytes=4096)
    wrote = [b"%d " % number * 50 for number in range(300)]
    found: list[bytes] = []
    at = journal.cursor
    for number, each in enumerate(wrote):
        journal.append(1, each)
        if number % 7 == 0:
            at = follow(journal, at, found)
            assert len(found) == number + 1
    follow(journal, at, found)
    assert found == wrote
    journal.close()


def follow(journal: Journal, at: Cursor, found: list[bytes]) -> Cursor:
    while True:
        payloads, after = read(journal.folder, at, journal.end)
        found += payloads
        if after == at:
            return at
        at = after


def test_damage_is_passed_over(tmp_path: Path):
    journal = Journal(tmp_path, 10_000_000)
    for number in range(10):
        journal.append(1, b"%d" % number * 100)
    (file,) = tmp_path.glob("*.seg")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found: list[bytes] = []
    follow(journal, journal.cursor, found)
    assert len(found) == 9
    journal.close()


async def test_everything_arrives_though_the_process_is_killed(tmp_path: Path, until, monkeypatch: pytest.MonkeyPatch):
    with temporary_postgres() as postgres:
        monkeypatch.setenv("MODELUX_BUS_URL", postgres.url)
        bus = open_bus(postgres.url)
        await bus.ensure(partitions())
        emitter = Emitter(tmp_path, 64 * 1024 * 1024)
        shipping = emitter.ship_process
        sent = [request_id(number) for number in range(600)]

        def append(ids: list[str]) -> None:
            for each in ids:
                emitter._journal.append(1, payload(b"proj", each, b"x" * 500))

        async with asyncio.TaskGroup() as group:
            running = group.create_task(shipping.run())
            append(sent[:200])
            await until(lambda: shipping.shipped == 200)
            assert shipping.pid is not None
            os.kill(shipping.pid, signal.SIGKILL)
            append(sent[200:400])
            await until(lambda: shipping.shipped >= 400)
            running.cancel()
        append(sent[400:])
        await shipping.finish()
        assert emitter._journal.cursor == emitter._journal.end
        emitter.close()
        found: list[str] = []
        async with bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
            while len(set(found)) < 600:
                batch = await member.fetch(1000, 2.0)
                assert batch
                found += [each.message.id.removesuffix(".completed") for each in batch]
        assert sorted(set(found)) == sent
        assert list(dict.fromkeys(found)) == sent, "in order"
        await bus.close()
