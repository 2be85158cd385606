"""What every bus promises of groups whose members come, go and die: memory, PostgreSQL and a real Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from reading import DEADLINE_S, assert_complete_and_in_order, done, fetch, lag_is, messages, numbers, share

from modelux_bus.base import (
    Bus,
    Delivery,
    Rebalanced,
    Subscription,
)


async def test_members_share_and_take_over_when_one_leaves(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 4})
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(bus.subscribe(f"g.{topic}", [topic]))
        async with bus.subscribe(f"g.{topic}", [topic]) as two:
            assert await share([one, two], 4) == []
            assert [len(member.assigned()) for member in (one, two)] == [2, 2]
            await bus.publish(messages(topic, 40))
            got: list[Delivery] = []
            deadline = time.monotonic() + DEADLINE_S
            while len(got) < 40:
                assert time.monotonic() < deadline
                for member in (one, two):
                    batch = await member.fetch(100, 0.05)
                    assert {delivery.partition for delivery in batch} <= member.assigned()
                    await member.commit(done(batch))
                    got += batch
            assert sorted(numbers(got)) == list(range(40))
        await share([one], 4)
        await bus.publish(messages(topic, 10, start=40))
        assert sorted(numbers(await fetch(one, 10))) == list(range(40, 50))


async def test_a_member_that_lost_partitions_is_told_and_cannot_commit_them(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 4})
    await bus.publish(messages(topic, 40))
    async with bus.subscribe(f"g.{topic}", [topic]) as one:
        first = await fetch(one, 40)
        async with bus.subscribe(f"g.{topic}", [topic]) as two:
            told = False
            again: list[Delivery] = []
            deadline = time.monotonic() + DEADLINE_S
            while not (told and two.assigned() and len(one.assigned()) == 2):
                assert time.monotonic() < deadline
                try:
                    again += await one.fetch(100, 0.05)
                except Rebalanced:
                    assert not told
                    told = True
                again += await two.fetch(100, 0.05)
            lost = {place: offset for place, offset in done(first).items() if place in two.assigned()}
            assert lost
            with pytest.raises(Rebalanced):
                await one.commit(lost)
            # Nothing was committed, so everything comes again, to whom it belongs now.
            while {*numbers(again)} != set(range(40)):
                assert time.monotonic() < deadline
                for member in (one, two):
                    try:
                        again += await member.fetch(100, 0.05)
                    except Rebalanced:
                        continue
    assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 40


async def test_a_member_that_only_gains_partitions_reads_on_where_it_was(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 2})
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(bus.subscribe(f"g.{topic}", [topic]))
        async with bus.subscribe(f"g.{topic}", [topic]) as two:
            await share([one, two], 2)
            await bus.publish(messages(topic, 40))
            got: list[Delivery] = []
            deadline = time.monotonic() + DEADLINE_S
            while len(got) < 10:
                assert time.monotonic() < deadline
                got += await one.fetch(10 - len(got), 0.1)
        while len(got) < 40:
            assert time.monotonic() < deadline
            got += await one.fetch(100, 0.1)
        assert await one.fetch(100, 0.1) == []
    places = [(delivery.partition, delivery.offset) for delivery in got]
    assert len(places) == len(set(places)) == 40


async def test_what_a_killed_member_did_not_commit_goes_to_the_others(bus: Bus, place, topic: str) -> None:  # type: ignore[no-untyped-def]
    await bus.ensure({topic: 2})
    await bus.publish(messages(topic, 20))
    async with bus.subscribe(f"g.{topic}", [topic]) as before:
        await before.commit(done((await fetch(before, 20))[:5]))
    async with place.die(bus, f"g.{topic}", topic) as dead:
        assert dead.read
        started = time.monotonic()
        async with bus.subscribe(f"g.{topic}", [topic]) as member:
            got = await fetch(member, 15)
            await member.commit(done(got))
        assert time.monotonic() - started < 10
    assert set(map(int, dead.read)) <= set(numbers(got))
    assert len(set(numbers(got))) == 15
    assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 0


async def test_a_storm_of_members_coming_and_going_loses_nothing_and_keeps_order(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 4})
    seen: list[int] = []

    async def work(member: Subscription, rounds: int) -> None:
        for _ in range(rounds):
            try:
                batch = await member.fetch(7, 0.02)
                seen.extend(numbers(batch))
                await member.commit(done(batch))
            except Rebalanced:
                continue

    async def come_and_go(times: int) -> None:
        for time_ in range(times):
            async with bus.subscribe(f"g.{topic}", [topic]) as member:
                await work(member, 4 + 3 * time_)

    async def publish() -> None:
        for start in range(0, 400, 20):
            await bus.publish(messages(topic, 20, start))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish())
        for times in (3, 4, 5):
            tasks.create_task(come_and_go(times))
    async with bus.subscribe(f"g.{topic}", [topic]) as last:
        deadline = time.monotonic() + DEADLINE_S
        while not await lag_is(bus, f"g.{topic}", topic, 0):
            assert time.monotonic() < deadline
            await work(last, 5)
    assert_complete_and_in_order(list(dict.fromkeys(seen)), 400)
