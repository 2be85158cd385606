"""Events outlive the process, reach the bus, and are never lost in silence."""

from __future__ import annotations

import asyncio
import json
from asyncio.selector_events import _SelectorSocketTransport as Transport
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import BusUnavailable, Message
from modelux_bus.memory import MemoryBus
from modelux_contracts.topics import REQUEST_COMPLETED, partitions
from modelux_providers.simulator.scenario import Behaviour
from modelux_proxy import notes
from modelux_proxy.emit import Emitter
from modelux_proxy.inflight import MAX_PAYLOAD_BYTES, InFlight

BODY = json.dumps({"model": "a", "messages": [{"role": "user", "content": "hi"}]}).encode()
REQUEST_ID = "req_" + "0" * 26


def note(request_id: str = REQUEST_ID) -> bytes:
    left = notes.Note(request_id, "org", "proj", "key", 1, "chat", "@p", "p", 3, True, "u", "full")
    return notes._pack(left)


async def test_events_reach_the_bus_and_only_then_leave_the_journal(start):
    bus = MemoryBus()
    await bus.ensure(partitions())
    async with start() as rig:
        for _ in range(3):
            await rig.request(body=BODY)
        assert await rig.lane.emitter.shipper.some(bus)
        assert len(rig.events()) == 3, "published, not yet settled"
        await rig.lane.emitter.shipper.flush(bus)
        assert rig.lane.emitter.shipper.shipped == 3
        assert not rig.events()
        async with bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
            found: list[Message] = []
            while len(found) < 3:
                found += [each.message for each in await member.fetch(10, 1.0)]
        events = [RequestCompleted.FromString(each.value) for each in found]
        assert {each.id for each in found} == {f"{event.request_id}.completed" for event in events}
        assert {each.key for each in found} == {b"proj_1"}


class Broken(MemoryBus):
    async def publish(self, messages: Sequence[Message]) -> None:
        raise BusUnavailable("down")


async def test_without_a_bus_events_stay(start):
    async with start() as rig:
        await rig.request(body=BODY)
        with pytest.raises(BusUnavailable):
            await rig.lane.emitter.shipper.some(Broken())
        assert len(rig.events()) == 1


async def test_a_bus_that_comes_back_gets_everything_in_order(start, until):
    class Flaky(MemoryBus):
        down = True

        async def publish(self, messages: Sequence[Message]) -> None:
            if self.down:
                self.down = False
                raise BusUnavailable("once")
            await super().publish(messages)

    bus = Flaky()
    await bus.ensure(partitions())
    async with start() as rig, asyncio.TaskGroup() as group:
        sent = [(await rig.request(body=BODY))[1]["x-request-id"] for _ in range(5)]
        shipping = group.create_task(rig.lane.emitter.shipper.run(bus))
        await until(lambda: rig.lane.emitter.shipper.shipped == 5)
        shipping.cancel()
        async with bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
            found = [each.message.id for each in await member.fetch(10, 1.0)]
        assert found == [f"{request_id}.completed" for request_id in sent]


async def test_a_request_that_never_ended_becomes_an_unknown_one(tmp_path: Path):
    dead = Emitter(tmp_path, 2**20)
    slot = dead.start(note())
    dead.finish(dead.start(note("req_" + "1" * 26)), b"proj", "req_" + "1" * 26, b"")
    dead.flush()
    assert slot >= 0
    dead._journal.close()  # as a kill would, without giving the slot back
    heir = Emitter(tmp_path, 2**20)
    bus = MemoryBus()
    await bus.ensure(partitions())
    assert heir.counts.recovered == 1
    await heir.shipper.flush(bus)
    assert heir.shipper.shipped == 2
    async with bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
        found: list[Message] = []
        while len(found) < 2:
            found += [each.message for each in await member.fetch(10, 1.0)]
    (unknown,) = [RequestCompleted.FromString(m.value) for m in found if m.id.startswith(REQUEST_ID)]
    assert (unknown.outcome, unknown.project_id, unknown.config_version) == ("unknown", "proj", 3)
    assert unknown.stream
    heir.close()
    third = Emitter(tmp_path, 2**20)
    assert third.counts.recovered == 0, "told once"
    third.close()


async def test_of_events_that_do_not_fit_together_those_that_fit_are_kept(tmp_path: Path):
    emitter = Emitter(tmp_path, 100_000)
    for size in (60_000, 60_000, 10_000):
        emitter.finish(emitter.start(note()), b"proj", REQUEST_ID, bytes(size))
    assert emitter.counts.appended == 0, "written at the end of the turn"
    await asyncio.sleep(0)
    assert (emitter.counts.appended, emitter.counts.lost) == (2, 1)
    assert len(emitter._inflight._free) == 4096, "every slot is given back"
    emitter.close()


async def test_no_answer_goes_out_before_its_event(start, monkeypatch: pytest.MonkeyPatch):
    """However many are answered in one turn of the loop."""
    async with start() as rig:
        sent, early = 0, 0

        def write(transport: Transport, data: bytes) -> None:
            nonlocal sent, early
            if transport.get_extra_info("sockname")[1] == rig.proxy_port:
                sent += data.count(b"HTTP/1.1 200 ")
                early += sent > rig.lane.emitter.counts.appended
            plain_write(transport, data)

        plain_write = Transport.write
        monkeypatch.setattr(Transport, "write", write)
        answers = await asyncio.gather(*[rig.request(body=BODY) for _ in range(20)])
        assert [status for status, _, _ in answers] == [200] * 20
        assert (sent, early) == (20, 0)


async def test_a_filling_journal_sheds_bodies_then_refuses_and_recovers(start):
    bus = MemoryBus()
    await bus.ensure(partitions())
    async with start(journal_bytes=1_000_000) as rig:
        status, sent = 200, 0
        big = BODY.replace(b"hi", b"x" * 5000)
        while status == 200:
            status, headers, body = await rig.request(body=big)
            sent += 1
            assert sent < 1000
        assert (status, json.loads(body)["error"]["code"]) == (503, "spool_full")
        assert headers["retry-after"] == "5"
        events = rig.events()
        assert len(events) == sent - 1, "every answer has its event"
        assert not events[0].body_shed
        assert events[-1].body_shed
        assert not events[-1].request_body
        await rig.lane.emitter.shipper.flush(bus)
        assert (await rig.request(body=big))[0] == 200


@given(st.lists(st.binary(min_size=1, max_size=MAX_PAYLOAD_BYTES), max_size=20), st.data())
def test_the_in_flight_table_survives_damage(tmp_path_factory, payloads, data):
    path = tmp_path_factory.mktemp("inflight") / "table"
    table = InFlight(path, slots=16)
    kept = {}
    for payload in payloads:
        slot = table.note(payload)
        assert (slot < 0) == (len(kept) >= 16)
        if slot >= 0:
            kept[slot] = payload
    for slot in data.draw(st.lists(st.sampled_from(sorted(kept)), unique=True)) if kept else []:
        table.done(slot)
        del kept[slot]
    table.close()
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(64, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    found = list(InFlight(path, slots=16).abandoned())
    assert set(found) <= set(kept.values())
    assert len(found) >= len(kept) - 1


async def test_draining_waits_for_streams_and_takes_no_more(start, until):
    async with start(rules={"a": Behaviour(per_token_ms=10, output_tokens=20)}) as rig:
        body = json.dumps({**json.loads(BODY), "stream": True}).encode()
        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(rig.request(body=body))
            await rig.simulator.until(lambda calls: len(calls) == 1)
            draining = group.create_task(rig.server.drain(5.0))
            await until(lambda: rig.server.draining)
            with pytest.raises(OSError, match="Connect"):
                await rig.request(body=BODY)
        assert draining.result() is True
        status, _, answer = streaming.result()
        assert status == 200
        assert answer.endswith(b"data: [DONE]\n\n")
