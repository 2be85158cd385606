"""`modelux up`: start everything on this machine, say how to reach it, keep it alive, stop it cleanly."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from modelux.config.v1.admin_pb2 import BootstrapRequest, BootstrapResponse
from modelux.config.v1.admin_pb2_grpc import AdminServiceStub
from modelux_cli.up import seeds
from modelux_cli.up.engines import engines
from modelux_cli.up.kind import keep_apart
from modelux_cli.up.layout import Machine, Ports, config_socket
from modelux_cli.up.probe import answers, is_free, local
from modelux_cli.up.secrets import load_or_create, write_private
from modelux_cli.up.supervisor import StartFailed, Supervisor
from modelux_cli.up.traffic import send_demo_traffic
from modelux_embedded.errors import EngineError
from modelux_providers.vendors import ENVIRONMENT_KEYS
from modelux_runtime.rpc import channel
from modelux_runtime.settings import provider_keys
from routing_core.errors import ModeluxError

READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    data_dir: Path
    host: str
    port: int
    json: bool
    demo: bool


def run_up(options: Options) -> int:
    """Returns the exit status: 0 stopped, 1 something did not start, 2 refused."""
    status = 0
    try:
        with _owned(options.data_dir):
            keep_apart(options.data_dir, demo=options.demo)
            asyncio.run(_up(options))
    except* (ModeluxError, EngineError) as refused:
        for each in _leaves(refused):
            _tell(str(each))
        status = 1 if refused.subgroup(StartFailed) else 2
    return status


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


async def _up(options: Options) -> None:
    for port in range(options.port, options.port + (3 if options.demo else 2)):
        if not is_free(options.host, port):
            raise ModeluxError("port_taken", f"port {port} is in use", hint="Choose another with --port.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    secrets = load_or_create(options.data_dir / "keys.json")
    async with engines(options.data_dir, _tell) as urls:
        socket = config_socket(options.data_dir)
        machine = Machine(options.data_dir, options.host, Ports.choose(options.port), secrets, urls, socket)
        supervisor = Supervisor(_tell)
        async with asyncio.TaskGroup() as group:
            try:
                made = await _start(group, supervisor, machine, options)
                await announce(options, machine, made)
                async with asyncio.TaskGroup() as background:
                    demo = background.create_task(_demo_traffic(options, secrets.proxy_key))
                    await stop.wait()
                    demo.cancel()
            finally:
                await supervisor.stop()


async def _demo_traffic(options: Options, key: str) -> None:
    if options.demo:
        await send_demo_traffic(local(options.host), options.port, key)


async def _start(
    group: asyncio.TaskGroup, supervisor: Supervisor, machine: Machine, options: Options
) -> BootstrapResponse:
    """The control plane and what it should hold; the others start meanwhile, since none waits for another."""
    async with asyncio.TaskGroup() as starting:
        for child in machine.others(demo=options.demo):
            starting.create_task(supervisor.start(group, child))
        await supervisor.start(group, machine.control_plane())
        made = await _bootstrap(machine, options)
    await _until_ready(machine)
    return made


async def _bootstrap(machine: Machine, options: Options) -> BootstrapResponse:
    found = seeds.from_keys(provider_keys(ENVIRONMENT_KEYS))
    if options.demo:
        found = seeds.demo(f"http://127.0.0.1:{machine.ports.simulator}")
    request = BootstrapRequest(
        organization_name="default",
        project_name="default",
        proxy_key=machine.secrets.proxy_key,
        management_key=machine.secrets.management_key,
        credentials=found.credentials,
        routing_configs=found.configs,
    )
    async with channel(f"unix:{machine.config_socket}") as connection:
        try:
            stub = AdminServiceStub(connection)
            made: BootstrapResponse = await stub.Bootstrap(request, timeout=READY_S, wait_for_ready=True)
            return made
        except grpc.aio.AioRpcError as error:
            reason, log = error.details(), machine.log("config")
            raise StartFailed("start_failed", f"the config service refused: {reason}", hint=f"See {log}.") from None


async def _until_ready(machine: Machine) -> None:
    """Every process says it is ready and the proxy lets the printed key in, so that a first call succeeds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_S
    checks = [(name, answers(port, "/readyz")) for name, port in machine.ports.health.items()]
    host, key = local(machine.host), machine.secrets.proxy_key
    checks.append(("proxy", answers(machine.ports.proxy, "/v1/models", host=host, key=key)))
    for name, check in checks:
        while not await check():
            if loop.time() > deadline:
                raise StartFailed("start_failed", f"{name} is not ready", hint=f"See {machine.log(name)}.")
            await asyncio.sleep(0.02)


@contextmanager
def _owned(data_dir: Path) -> Iterator[None]:
    """Makes the data folder and holds its lock, so that a second `modelux up` there is refused in one line."""
    try:
        (data_dir / "logs").mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModeluxError(
            "data_dir_unusable", f"cannot write to {data_dir}: {reason}", hint="Choose another --data-dir."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ModeluxError(
            "data_dir_locked", f"another modelux runs in {data_dir}", hint="Stop it, or choose another --data-dir."
        ) from None
    try:
        yield
    finally:
        os.close(lock)


async def announce(options: Options, machine: Machine, made: BootstrapResponse) -> None:
    """Says where everything is: on stdout, and in a file that the other commands of this machine read."""
    host = local(options.host)
    shown = f"[{host}]" if ":" in host else host
    found = {
        "proxy_url": f"http://{shown}:{options.port}/v1",
        "manage_url": f"http://{shown}:{options.port + 1}/manage/v1",
        "dashboard_url": None,
        "proxy_key": machine.secrets.proxy_key,
        "management_key": machine.secrets.management_key,
        "project_id": made.project_id,
    }
    write_private(options.data_dir / "endpoints.json", json.dumps(found))
    if options.json:
        print(json.dumps(found), flush=True)
        return
    callable_now = answers(options.port, "/v1/models/@production", host=host, key=machine.secrets.proxy_key)
    then = _TRY if await callable_now() else _CONNECT
    print(f"{_WELCOME}\n{then}".format(**found), flush=True)


_WELCOME = """Modelux is ready.

  proxy           {proxy_url}   (base_url of any OpenAI SDK)
  management API  {manage_url}
  proxy key       {proxy_key}
  management key  {management_key}
  project         {project_id}
"""

_TRY = """Try it:

  curl {proxy_url}/chat/completions -H 'Authorization: Bearer {proxy_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "@production", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Then `modelux logs`, or `modelux logs --trace REQUEST_ID` for the whole decision. Stop with Ctrl-C."""

_CONNECT = """There is no @production yet. Start again with OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY set, or
with --demo for simulated providers; or add a provider and a routing config over the management API:

  curl {manage_url}/credentials -H 'Authorization: Bearer {management_key}' \\
    -H 'Content-Type: application/json' -d '{{"name": "openai", "provider": "openai", "secret": "sk-..."}}'

Stop with Ctrl-C."""


def _tell(text: str) -> None:
    print(f"modelux: {text}", file=sys.stderr, flush=True)
