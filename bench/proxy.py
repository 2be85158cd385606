"""Measure the proxy against nginx pass-through: same core, same upstream, same load, in turn. Prints one JSON line.

Core 0 runs the candidate (nginx, then the proxy as `modelux run proxy`), core 1 everything else: the upstream (nginx
with a canned answer), the load generator (wrk), PostgreSQL as the bus, and this script, which plays the config service
and its ledger (`played_config`).
On: key authentication, `@production` (a fallback policy), reservation of the worst case on three hard budgets
(organization, project, key) with slices from a ledger over gRPC, decision trace, full bodies, journal, in-flight table,
and the shipping process to the PostgreSQL bus (on core 1).

The proxy is the compiled form (`make compiled`); `ratio_interpreted` is that of the plain sources. `ratio_vs_nginx`
compares requests per second with 32 connections; `ratio_of_cpu` the processor time per request of the
same runs, which a busy machine disturbs less. Latencies are added to what the upstream takes when asked directly.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc.aio
import uvloop
from played_config import KEY, SECRET, Config, MemoryLedger, snapshot

from modelux.config.v1.snapshot_pb2_grpc import add_SnapshotServiceServicer_to_server
from modelux.ledger.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_providers.client import Client, Deadlines, Origin, request_head
from modelux_providers.egress import Guard
from modelux_runtime.rpc import serving

COMPILED = Path(__file__).resolve().parents[1] / "build" / "compiled"
CANDIDATE, REST = 0, 1
_BUS = "shipping process on core 1 to a postgresql bus"
PATH = "/v1/chat/completions"
MESSAGES = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "hello " * 15}]
BODY = json.dumps(
    {"model": "@production", "messages": MESSAGES, "temperature": 0.7, "max_tokens": 128}, separators=(",", ":")
)
STREAM_BODY = json.dumps({"model": "@streaming", "messages": MESSAGES, "stream": True}, separators=(",", ":"))
ANSWER = json.dumps(
    {
        "id": "chatcmpl-abc123", "object": "chat.completion", "created": 1700000000, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello! How can I help?", "refusal": None},
                     "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
                  "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}},
    },
    separators=(",", ":"),
)  # fmt: skip
_CHUNK = {"id": "chatcmpl-abc123", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4o-mini"}


def _event(**changes: object) -> str:
    return "data: " + json.dumps(_CHUNK | changes, separators=(",", ":")) + "\n\n"


def _delta(delta: dict[str, str], finish: str | None = None) -> str:
    return _event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])


STREAM = (
    _delta({"role": "assistant", "content": ""})
    + "".join(_delta({"content": word}) for word in ["Hello", "!", " How", " can", " I", " help", "?"])
    + _delta({}, "stop")
    + _event(choices=[], usage={"prompt_tokens": 19, "completion_tokens": 7, "total_tokens": 26})
    + "data: [DONE]\n\n"
)


@dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk against one process."""

    rps: float
    p50_ms: float
    cpu_us: float
    """Processor time of the candidate per request."""


def nginx_config(folder: Path, name: str, server: str, upstream: str = "") -> Path:
    paths = "".join(
        f"{kind}_temp_path {folder}/{name}-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / f"{name}.conf"
    file.write_text(
        f"worker_processes 1; daemon off; master_process off; pid {folder}/{name}.pid; error_log {folder}/{name}.log;"
        f"events {{ worker_connections 4096; }} http {{ access_log off; keepalive_requests 1000000000; "
        f"keepalive_timeout 3600; {paths} {upstream} server {{ {server} }} }}"
    )
    return file


def upstream_config(folder: Path, port: int) -> Path:
    def canned(text: str) -> str:
        return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("$", "")

    return nginx_config(
        folder,
        "upstream",
        f"listen 127.0.0.1:{port}; default_type application/json;"
        f"location / {{ return 200 '{canned(ANSWER)}'; }}"
        f"location /stream/ {{ default_type text/event-stream; return 200 '{canned(STREAM)}'; }}",
    )


def pass_config(folder: Path, port: int, upstream: int) -> Path:
    return nginx_config(
        folder,
        "pass",
        f"listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1; "
        'proxy_set_header Connection ""; }',
        f"upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}",
    )


@contextmanager
def process(
    core: int, arguments: Sequence[str], env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["taskset", "-c", str(core), *arguments], env=env)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_for(port: int, path: str = "/", status: bytes = b"") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as sock:
                sock.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
                if status in sock.recv(100):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def children(pid: int) -> list[int]:
    """The shipping process."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def wrk(folder: Path, port: int, connections: int, seconds: float, pid: int) -> Load:
    script = folder / "load.lua"
    script.write_text(
        f"wrk.method='POST'\nwrk.body='{BODY}'\nwrk.headers['Content-Type']='application/json'\n"
        f"wrk.headers['Authorization']='Bearer {KEY}'\n"
    )
    before = cpu_s(pid)
    command = ["taskset", "-c", str(REST), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command.append("--latency")
    out = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{port}{PATH}"], capture_output=True, text=True, check=True
    ).stdout
    used = cpu_s(pid) - before
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"the run is worthless, some requests failed:\n{out}")
    requests = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", out)
    assert requests is not None
    assert rate is not None
    assert median is not None
    p50_ms = float(median[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[median[2]]
    return Load(float(rate[1]), p50_ms, used * 1e6 / int(requests[1]))


def best(runs: Sequence[Load]) -> Load:
    """What several short runs reached where the machine disturbed least."""
    return Load(max(r.rps for r in runs), min(r.p50_ms for r in runs), min(r.cpu_us for r in runs))


async def at_rate(port: int, per_second: int, seconds: float) -> list[float]:
    """Latencies (ms) of requests sent at fixed moments, whether earlier ones are answered or not."""
    client = Client(Guard(allow_private=True))
    origin = Origin("http", "127.0.0.1", port, True)
    head = request_head(origin, "POST", PATH, _headers())
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    body = BODY.encode()

    async def one(due: float) -> None:
        response = await client.post(origin, head, body, Deadlines())
        await response.read()
        latencies.append((time.perf_counter() - due) * 1000)

    start = loop.time() + 0.1
    began = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            due = number / per_second
            while (left := start + due - loop.time()) > 0:
                await asyncio.sleep(left)
            group.create_task(one(began + due))
    await client.close()
    return sorted(latencies[per_second:])


async def first_bytes(port: int, path: str, count: int) -> float:
    """Median time (ms) to the first byte of a stream's body, one request after the other."""
    client = Client(Guard(allow_private=True))
    origin = Origin("http", "127.0.0.1", port, True)
    head = request_head(origin, "POST", path, _headers())
    found = []
    for _ in range(count):
        start = time.perf_counter()
        response = await client.post(origin, head, STREAM_BODY.encode(), Deadlines())
        await response.chunk()
        found.append((time.perf_counter() - start) * 1000)
        await response.read()
    await client.close()
    return statistics.median(found)


def _headers() -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-type", b"application/json"), (b"authorization", f"Bearer {KEY}".encode()))


@asynccontextmanager
async def proxy_on_core(
    folder: Path, upstream: int, port: int, health: int, packages: Path | None = None
) -> AsyncIterator[int]:
    """The real service with a real bus, from `packages` where they are given; its process id."""
    target = f"unix:{folder}/config.sock"
    with EmbeddedPostgres(folder / "pg") as postgres:
        env = os.environ | {  # noqa: TID251  # a child's environment
            "MODELUX_BUS_URL": postgres.url,
            "MODELUX_CONFIG_URL": target,
            "MODELUX_ENCRYPTION_KEY": base64.b64encode(SECRET).decode(),
            "MODELUX_HEALTH_PORT": str(health),
            "MODELUX_PROXY_PORT": str(port),
            "MODELUX_PROXY_DATA_DIR": str(folder / "proxy"),
            "MODELUX_PROXY_DRAIN_S": "1",
            "MODELUX_LOG_LEVEL": "error",
            "PYTHONPATH": str(packages or ""),
        }
        seen = snapshot(upstream)
        config, ledger = Config(seen), MemoryLedger({each.id: each.cap_nano for each in seen.budgets})

        def register(server: grpc.aio.Server) -> None:
            add_SnapshotServiceServicer_to_server(config, server)
            add_LedgerServiceServicer_to_server(ledger, server)

        command = [sys.executable, "-c", "from modelux_cli.main import app; app()", "run", "proxy"]
        async with serving(target, register):
            with process(CANDIDATE, command, env) as child:
                await asyncio.to_thread(wait_for, health, "/readyz", b"200 OK")
                for process_id in children(child.pid):
                    os.sched_setaffinity(process_id, {REST})
                yield child.pid
        if not min(ledger.settled()):
            raise SystemExit("the run is worthless, some budget was charged nothing")


async def measure(seconds: float, folder: Path) -> dict[str, object]:
    upstream, passing, port, health = (free_port() for _ in range(4))
    with ExitStack() as stack:
        stack.enter_context(process(REST, ["nginx", "-c", str(upstream_config(folder, upstream))]))
        wait_for(upstream)
        with process(CANDIDATE, ["nginx", "-c", str(pass_config(folder, passing, upstream))]) as nginx:
            wait_for(passing)
            wrk(folder, passing, 32, 1, nginx.pid)
            plain = best([wrk(folder, passing, 32, seconds / 5, nginx.pid) for _ in range(3)])
        async with proxy_on_core(folder, upstream, port, health) as plain_pid:
            await asyncio.to_thread(wrk, folder, port, 32, 1, plain_pid)
            interpreted = best(
                [await asyncio.to_thread(wrk, folder, port, 32, seconds / 5, plain_pid) for _ in range(3)]
            )
        async with proxy_on_core(folder, upstream, port, health, COMPILED) as pid:

            async def load(connections: int, for_s: float) -> Load:
                return await asyncio.to_thread(wrk, folder, port, connections, for_s, pid)

            await load(32, 1)
            ours = best([await load(32, seconds / 5) for _ in range(5)])
            sent = 0
            while sent < 100_000:
                sent += int((await load(32, 3)).rps * 3)
            memory = rss_mb(pid)
            direct_one = best([await asyncio.to_thread(wrk, folder, upstream, 1, 1, pid) for _ in range(3)])
            one = best([await load(1, 1) for _ in range(3)])
            direct_rate, rate = await at_rate(upstream, 1000, 5), await at_rate(port, 1000, 5)
            direct_first = await first_bytes(upstream, "/stream/chat/completions", 500)
            first = await first_bytes(port, PATH, 500)
        with process(CANDIDATE, ["nginx", "-c", str(pass_config(folder, passing, upstream))]) as nginx:
            wait_for(passing)
            plain = best([plain, *(wrk(folder, passing, 32, seconds / 5, nginx.pid) for _ in range(2))])
    return {
        "ratio_vs_nginx": round(ours.rps / plain.rps, 3),
        "ratio_interpreted": round(interpreted.rps / plain.rps, 3),
        "rps": round(ours.rps),
        "nginx_rps": round(plain.rps),
        "added_p50_ms": round(one.p50_ms - direct_one.p50_ms, 3),
        "added_p99_ms_at_1000rps": round(_p99(rate) - _p99(direct_rate), 3),
        "ttft_added_ms": round(first - direct_first, 3),
        "rss_mb": round(memory, 1),
        "ratio_of_cpu": round(plain.cpu_us / ours.cpu_us, 3),
        "cpu_us": round(ours.cpu_us, 1),
        "nginx_cpu_us": round(plain.cpu_us, 1),
        "on": ["auth", "policy", "three reservations", "trace", "bodies", "journal", "in-flight table", _BUS],
    }


def _p99(latencies: Sequence[float]) -> float:
    return latencies[int(len(latencies) * 0.99)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load per candidate")
    options = parser.parse_args()
    missing = [name for name in ("nginx", "wrk", "taskset") if shutil.which(name) is None]
    if not (COMPILED / "modelux_proxy").is_dir():
        print("bench-proxy measures the compiled form: run make compiled first", file=sys.stderr)
        return 2
    if missing or (os.cpu_count() or 1) < 2:
        wants = "Debian's packages nginx, wrk and util-linux" if missing else "two cores"
        print(f"bench-proxy needs {wants} (missing: {', '.join(missing) or 'a core'})", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {REST})
    with TemporaryDirectory(prefix="mlx-bench-") as name:
        os.chmod(name, 0o711)
        print(json.dumps(uvloop.run(measure(options.seconds, Path(name)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
