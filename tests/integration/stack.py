"""The whole product as one process tree: start it, call it, find its processes, read its log."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import processes

from modelux_providers.vendors import ENVIRONMENT_KEYS
from modelux_runtime.settings import child_environment
from modelux_store.analytics import Analytics

READY_S = 60.0
CANARY = "sk-canary-8d1f0b72c94e4d8f"
"""The provider key of every test: it may appear nowhere but in the request to the provider."""
PROGRAM = [sys.executable, "-m", "modelux_cli.main"]
_CHILDREN = {
    "proxy": "modelux_cli.main run proxy",
    "config": "modelux_cli.main run config",
    "analytics": "modelux_embedded.clickhouse_server",
    "postgres": "bin/postgres -D",
    "simulator": "modelux_cli.main simulator",
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def call(url: str, body: object = None, *, key: str = "", method: str = "", timeout_s: float = 20.0) -> Answer:
    """One HTTP request; `body` is sent as JSON. Raises OSError where nobody answers."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, data, headers, method=method or ("GET" if data is None else "POST"))
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            return Answer(answer.status, _lower(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _lower(error.headers), error.read())


@dataclass(frozen=True, slots=True)
class Project:
    """A project of its own for each test, so that its log holds that test's requests alone."""

    id: str
    key: str
    config_id: str


class Product:
    """One `modelux up` in a data folder; may be started again in the same one."""

    def __init__(self, data_dir: Path, port: int, provider_url: str = "", *options: str) -> None:
        self.data_dir = data_dir
        self.port = port
        self.provider_url = provider_url
        self.options = options
        self.endpoints: dict[str, str] = {}
        self.started_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    # Life

    def start(self) -> Product:
        """Returns when the ready line is printed; `started_s` says how long that took."""
        before = time.monotonic()
        self._process = self.spawn()
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_S)
        line = self._process.stdout.readline() if readable else b""
        self.started_s = time.monotonic() - before
        assert line, f"modelux up printed nothing: {self.told()}"
        self.endpoints = json.loads(line)
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """The bare process, its messages appended to `up.err`."""
        argv = [*PROGRAM, "up", "--json", "--port", str(self.port), "--data-dir", str(self.data_dir), *self.options]
        with (self.data_dir.parent / "up.err").open("ab") as told:
            return subprocess.Popen(argv, env=own_environment(), stdout=subprocess.PIPE, stderr=told)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """SIGKILL, for `modelux up` itself alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def told(self) -> str:
        """What `modelux up` said on stderr so far."""
        return (self.data_dir.parent / "up.err").read_text(errors="replace")

    # Processes

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pids(self) -> dict[str, int]:
        """Process ids of the children that run now, by name."""
        running = {pid: processes.command(pid) for pid in processes.children(self.pid)}
        return {name: pid for name, sign in _CHILDREN.items() for pid, line in running.items() if sign in line}

    def environment(self, name: str) -> dict[str, str]:
        return processes.environment(self.pids()[name])

    def kill_child(self, name: str) -> int:
        """SIGKILL; the process id that it had."""
        pid = self.pids()[name]
        processes.kill(pid)
        processes.until(lambda: not processes.alive(pid), f"{name} is gone", 10)
        return pid

    def until_ready(self, *names: str, within_s: float = READY_S) -> float:
        """Waits for processes of services to say that they are ready; how long that took."""
        return processes.until(lambda: all(self.ready(name) for name in names), f"{names} are ready", within_s)

    def ready(self, name: str) -> bool:
        with suppress_unanswered():
            return call(self.health_url(name) + "/readyz", timeout_s=2).status == 200
        return False

    def health_url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.environment(name)['MODELUX_HEALTH_PORT']}"

    def metric(self, name: str, process: str = "proxy") -> float:
        """One metric without labels."""
        text = call(self.health_url(process) + "/metrics").body.decode()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))

    # Calls

    def manage(self, path: str, body: object = None, *, method: str = "", **query: object) -> Answer:
        """One call of the management API; `path` begins with a slash."""
        url = self.endpoints["manage_url"] + path + ("?" + urlencode(query) if query else "")
        return call(url, body, key=self.endpoints["management_key"], method=method)

    def made(self, path: str, body: object) -> Any:
        """What a POST created or answered."""
        answer = self.manage(path, body)
        assert answer.status in (200, 201), answer.body
        return answer.json()["data"]

    def chat(self, key: str = "", **body: object) -> Answer:
        """One chat completion; the usual model and prompt unless said otherwise."""
        asked = {"model": "@it", "messages": [{"role": "user", "content": "Hello!"}]} | body
        return call(self.endpoints["proxy_url"] + "/chat/completions", asked, key=key or self.endpoints["proxy_key"])

    def serves(self, project: Project) -> bool:
        """Whether the proxy lets the project's key in now. Leaves nothing in the log."""
        with suppress_unanswered():
            return call(self.endpoints["proxy_url"] + "/models", key=project.key).status == 200
        return False

    def settled(self) -> bool:
        """Whether every process runs, is ready, and the management API answers from both of its sources."""
        with suppress_unanswered():
            running = {"proxy", "config", "postgres", "analytics"} <= set(self.pids())
            ready = running and self.ready("proxy") and self.ready("config")
            return ready and {self.manage(path).status for path in ("/projects", "/logs")} == {200}
        return False

    def project(self, name: str, policy: Mapping[str, object], *, logging_mode: str = "full") -> Project:
        """A project with a key and `@it`, live at the proxy when this returns."""
        project = self.made("/projects", {"name": name, "loggingMode": logging_mode})
        key = self.made("/keys", {"projectId": project["id"], "name": name})
        config = self.made("/routing-configs", {"projectId": project["id"], "slug": "it", "policy": policy})
        models = self.endpoints["proxy_url"] + "/models"
        processes.until(lambda: b'"@it"' in call(models, key=key["key"]).body, f"project {name} is live")
        return Project(project["id"], key["key"], config["id"])

    def provider(self, name: str, provider: str, path: str, **more: object) -> str:
        """A credential that leads to the simulator; its id."""
        body = {"name": name, "provider": provider, "baseUrl": self.provider_url + path, "secret": CANARY} | more
        return str(self.made("/credentials", body)["id"])

    def log(self, project: Project) -> list[dict[str, Any]]:
        """Every logged request of a project, newest first, over all pages."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self.manage("/logs", project_id=project.id, limit=200, cursor=cursor)
            assert answer.status == 200, answer.body
            rows += answer.json()["data"]
            cursor = answer.json()["next_cursor"] or ""
            if not cursor:
                return rows

    def until_logged(self, project: Project, wanted: int, within_s: float = 40.0) -> list[dict[str, Any]]:
        """Waits until the log holds at least so many requests of the project."""
        rows: list[dict[str, Any]] = []

        def enough() -> bool:
            nonlocal rows
            with suppress_unanswered():
                answer = self.manage("/logs", project_id=project.id, limit=1)
                rows = self.log(project) if answer.status == 200 else rows
            return len(rows) >= wanted

        processes.until(enough, f"{wanted} rows in the log of {project.id}", within_s, pause_s=0.2)
        return rows

    def analytics(self, sql: str) -> list[dict[str, object]]:
        """The rows of a query to the analytics engine."""

        async def ask() -> list[dict[str, object]]:
            engine = await Analytics.open(self.environment("config")["MODELUX_CLICKHOUSE_URL"])
            try:
                return await engine.rows(sql)
            finally:
                await engine.close()

        return asyncio.run(ask())


class suppress_unanswered:  # reads like contextlib.suppress
    """Passes over what a caller sees while a server is away."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, OSError | KeyError | AssertionError | StopIteration)


@contextmanager
def simulator(scenario: dict[str, object], *options: str) -> Iterator[str]:
    """The simulated providers as the product's own command; their URL."""
    with data_folder() as folder:
        file = folder.with_suffix(".json")
        file.write_text(json.dumps(scenario))
        argv = [*PROGRAM, "simulator", "--scenario", str(file), *options]
        process = subprocess.Popen(argv, env=own_environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


def own_environment(**extra: str) -> dict[str, str]:
    """Ours without provider keys and settings of the product, and with the simulator's address let through."""
    kept = {
        name: value
        for name, value in child_environment({}).items()
        if name not in ENVIRONMENT_KEYS and not name.startswith("MODELUX_")
    }
    return kept | {"MODELUX_CONFIG_PRIVATE_HOSTS": "127.0.0.1"} | extra


def free_ports(count: int = 3) -> int:
    """The first of `count` ports in a row that were free a moment ago."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
        if port < 60_000 and all(_free(port + step) for step in range(count)):
            return port


def _free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder that does not exist yet, in one that PostgreSQL's own account may enter."""
    with tempfile.TemporaryDirectory(prefix="mlx-up-", dir="/tmp", ignore_cleanup_errors=True) as parent:
        os.chmod(parent, 0o755)
        yield Path(parent) / "data"


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
