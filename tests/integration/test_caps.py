"""A cap holds by the providers' own books though a proxy is killed in a crowd of calls, and no money is lost by it."""

from __future__ import annotations

import pytest
from capped import SCENARIO, control, spend
from stack import data_folder

from modelux_providers.simulator.process import spawn


@pytest.mark.nightly
@pytest.mark.timeout(180)
@pytest.mark.parametrize("comes_back", [True, False], ids=["and comes back", "and never comes back"])
async def test_a_cap_holds_when_a_proxy_is_killed(comes_back: bool) -> None:
    with data_folder() as folder:
        folder.mkdir(mode=0o755)
        async with control(folder) as config, spawn(SCENARIO) as simulator:
            await config.provider(simulator.url)
            run = await spend(config, simulator, comes_back=comes_back, calls=300, cap=300_000_000, proxies=2)
    print(run)
    assert run.in_flight >= 10
    assert run.answers["broken"] > 0
    assert run.served > run.cap // 3
    assert run.overshoot == 0
    assert run.stranded == 0
    assert 0 <= run.settled - run.served <= run.unknown + run.forfeited
    if comes_back:
        assert run.forfeited == 0 < run.unknown
    else:
        assert run.unknown == 0 < run.forfeited
