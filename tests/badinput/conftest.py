"""The running proxy that every case is put to, and what must hold after each of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from badinput_rig import LITTLE_WORK_S, Live
from badinput_wire import CHAT, chat, request

from modelux_providers.client import Deadlines
from modelux_proxy.limits import HttpLimits


@pytest.fixture(scope="session")
def _live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The limits of production."""
    folder = tmp_path_factory.mktemp("proxy")
    with Live(folder, limits=HttpLimits(), deadlines=Deadlines(), keepalive_s=15.0).running() as live:
        yield live


@pytest.fixture(scope="session")
def _hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The same with times so short that a test can wait for them."""
    limits = HttpLimits(head_s=0.3, body_s=0.3, write_s=0.5, idle_s=5.0)
    deadlines = Deadlines(connect_s=0.5, first_byte_s=0.5, idle_s=0.5, total_s=1.0)
    folder = tmp_path_factory.mktemp("hasty")
    with Live(folder, limits=limits, deadlines=deadlines, keepalive_s=0.2).running() as live:
        yield live


@pytest.fixture
def live(_live: Live) -> Iterator[Live]:
    """A proxy as in production; after the test it must serve as if nothing had been."""
    _live.fresh()
    yield _live
    _serves(_live)


@pytest.fixture
def hasty(_hasty: Live) -> Iterator[Live]:
    """As `live`, with short times."""
    _hasty.fresh()
    yield _hasty
    _serves(_hasty)


def _serves(live: Live) -> None:
    """An ordinary request on a fresh connection is answered, and nothing went wrong by the proxy's own fault."""
    assert live.errors == []
    live.fresh()
    answer = live.answer(request(chat(), CHAT))
    assert answer.status == 200, answer.raw[:500]
    assert answer.cpu_s < LITTLE_WORK_S, "something is still at work"
