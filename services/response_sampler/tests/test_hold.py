"""Whether a call may begin: only while the unit is held and its experiment is known to run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from sampler_rig import row, unit

from modelux_calling.clock import Clock
from modelux_response_sampler.hold import Hold, Unknown
from modelux_response_sampler.units import Unit
from modelux_store.errors import Unavailable

DEADLINE_US = 10_000_000


@dataclass
class World:
    """The two that are asked, and the clock. An exception stands for one that does not answer."""

    now_ms: int = 0
    held: bool | Exception = True
    runs: bool | Exception = True
    stopping: bool = False
    silent_s: float = 15.0
    beats: list[Unit] = field(default_factory=list)

    async def beat(self, unit: Unit) -> bool:
        self.beats.append(unit)
        if isinstance(self.held, Exception):
            raise self.held
        return self.held

    async def may_call(self, organization_id: str, experiment_id: str) -> bool:
        if isinstance(self.runs, Exception):
            raise self.runs
        return self.runs

    def hold(self) -> Hold:
        samples = unit(0, [row(1)], deadline_us=DEADLINE_US)
        clock = Clock(lambda: self.now_ms * 1_000_000, lambda: self.now_ms * 1_000_000)
        return Hold(self, Unit(samples, 1), self.may_call, clock, lambda: self.stopping)  # type: ignore[arg-type]


async def looked(world: World) -> Hold:
    hold = world.hold()
    await hold.look()
    return hold


async def test_nothing_begins_before_it_was_asked_whether_it_may():
    world = World()
    hold = world.hold()
    assert hold.halt() == "lost"
    assert await hold.look()
    assert hold.halt() is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"held": False}, "lost", id="another process has the unit"),
        pytest.param({"runs": False}, "stopped", id="the experiment has ended"),
        pytest.param({"runs": Unknown("away")}, "lost", id="nobody says whether it runs"),
    ],
)
async def test_what_was_heard_decides(change, code):
    assert (await looked(World(**change))).halt() == code


@pytest.mark.parametrize("change", [{"held": Unavailable("away")}, {"runs": Unknown("away")}])
async def test_what_was_heard_once_holds_for_a_while(change):
    world = World()
    hold = await looked(world)
    for name, value in change.items():
        setattr(world, name, value)
    for at_ms, code in ((9_900, None), (10_100, "deadline")):
        world.now_ms = at_ms
        assert await hold.look()
        assert hold.halt() == code


async def test_a_sign_of_life_is_trusted_for_less_time_than_others_wait():
    world = World(silent_s=3.0)
    hold = await looked(world)
    for at_ms, code in ((1_900, None), (2_100, "lost")):
        world.now_ms = at_ms
        assert hold.halt() == code


async def test_an_experiment_that_has_ended_does_not_run_again():
    world = World(runs=False)
    hold = await looked(world)
    world.runs = True
    await hold.look()
    assert hold.halt() == "stopped"


async def test_no_call_begins_while_the_process_stops():
    world = World()
    hold = await looked(world)
    world.stopping = True
    assert hold.halt() == "lost"
