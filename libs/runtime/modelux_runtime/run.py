"""Run services in one process: one task tree, one owner of signals, one place that logs what crashed."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from modelux_bus.base import Bus, BusUnavailable
from modelux_contracts.topics import partitions
from modelux_runtime.http import health_app, listen, serve_app
from modelux_runtime.platform import Platform, open_platform
from modelux_runtime.service import Service
from modelux_runtime.settings import PlatformSettings, load
from routing_core.errors import ModeluxError

log = logging.getLogger("modelux")

_STARTING = "process"


def main(services: Sequence[Service[Any]]) -> int:
    """Runs until SIGTERM or SIGINT. Returns the exit status: 0 stopped, 1 crashed, 2 refused to start."""
    try:
        settings = load(PlatformSettings, "MODELUX")
        loaded = [(each, load(each.settings, f"MODELUX_{each.name}")) for each in services]
    except ModeluxError as error:
        print(f"modelux: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    status = 0
    try:
        uvloop.run(_run(settings, loaded))
    except* ModeluxError as refused:
        print(f"modelux: {_first(refused)}", file=sys.stderr)
        status = 2
    except* Exception as crashed:
        log.error("crashed", exc_info=crashed)
        status = 1
    return status


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _run(settings: PlatformSettings, loaded: Sequence[tuple[Service[Any], Any]]) -> None:
    needs = frozenset(need for service, _ in loaded for need in service.needs)
    sock = listen(settings.health_host, settings.health_port)
    log.info("health on http://%s:%s", *sock.getsockname()[:2])
    async with open_platform(settings, needs) as platform, asyncio.TaskGroup() as health:
        _stop_on_signals(platform)
        platform.readiness[_STARTING] = lambda: "its services are not there yet"
        serving = health.create_task(serve_app(health_app(platform), sock))
        async with AsyncExitStack() as stack:
            tasks: list[Coroutine[Any, Any, None]] = [prepare(platform.bus)] if "bus" in needs else []
            for service, own in loaded:
                tasks.extend(await stack.enter_async_context(service.serve(own, platform)))
            del platform.readiness[_STARTING]
            await _until_stopped(platform, tasks)
        serving.cancel()


async def _until_stopped(platform: Platform, tasks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs the tasks until a signal comes, then cancels them. A task that fails takes the process down."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(each) for each in tasks]
        await platform.stopping.wait()
        for each in running:
            each.cancel()


def _stop_on_signals(platform: Platform) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, platform.stopping.set)


async def prepare(bus: Bus) -> None:
    """Creates the topics as soon as the bus can be reached."""
    delay_s = 0.1
    while True:
        try:
            return await bus.ensure(partitions())
        except BusUnavailable as error:
            log.warning("the bus is not there yet: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 5.0)
