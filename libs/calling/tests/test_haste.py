"""Calls at a time with one credential: halved when there are too many, one more at a time while all goes well."""

from __future__ import annotations

import asyncio

import pytest

from modelux_calling.clock import Clock
from modelux_calling.haste import Haste


class Naps:
    """Pauses that take no time and move the clock."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now_ns = 0

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def haste(naps: Naps) -> Haste:
    return Haste(8, Clock(steady_ns=lambda: naps.now_ns), naps)


async def entered(haste: Haste, calls: int) -> None:
    for _ in range(calls):
        await haste.enter("pc")


async def test_a_refusal_halves_and_success_adds_one_for_each_round(haste, naps):
    await entered(haste, 8)
    haste.leave("pc", limited=True, retry_after_ms=500)
    assert haste.limit("pc") == 4
    for _ in range(7):
        haste.leave("pc")
    await entered(haste, 1)
    assert naps.slept == [0.5]
    haste.leave("pc")
    assert haste.limit("pc") == 5
    for _ in range(100):
        await entered(haste, 1)
        haste.leave("pc")
    assert haste.limit("pc") == 8


async def test_refusals_of_calls_that_went_out_together_count_once(haste):
    await entered(haste, 8)
    for _ in range(8):
        haste.leave("pc", limited=True, retry_after_ms=1000)
    assert haste.limit("pc") == 4


async def test_pauses_double_where_nobody_says_how_long_and_have_an_end(haste, naps):
    for _ in range(9):
        await entered(haste, 1)
        haste.leave("pc", limited=True)
    await entered(haste, 1)
    assert naps.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    haste.leave("pc")
    await entered(haste, 1)
    haste.leave("pc", limited=True, retry_after_ms=10**9)
    await entered(haste, 1)
    assert naps.slept[-1] == 60


async def test_credentials_do_not_feel_each_other(haste, naps):
    await entered(haste, 1)
    haste.leave("pc", limited=True)
    await haste.enter("other")
    assert naps.slept == []
    assert haste.limit("other") == 8


async def test_there_is_always_room_for_one_and_never_for_more_than_may(naps):
    haste = Haste(2, Clock(steady_ns=lambda: naps.now_ns), naps)
    running = most = 0

    async def call() -> None:
        nonlocal running, most
        await haste.enter("pc")
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        haste.leave("pc", limited=most % 2 == 0)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(call())
    assert (running, most) == (0, 2)


async def test_who_gives_up_waiting_hands_its_place_on(haste):
    await entered(haste, 8)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        first, second = (group.create_task(haste.enter("pc")) for _ in range(2))
        await asyncio.sleep(0)
        haste.leave("pc")  # wakes the first, which is given up before it runs
        first.cancel()
        await second
