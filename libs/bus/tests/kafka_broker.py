"""Run a real Apache Kafka broker (KRaft, one node) on free ports, for tests."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(Path(__file__).parent))
from kafka_jars import Unavailable, fetch  # noqa: E402

__all__ = ["KafkaBroker", "Unavailable"]

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.network.threads=2
num.io.threads=2
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
log.retention.check.interval.ms=3600000
"""
_JVM = ["-Xmx384m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]


class KafkaBroker:
    """A broker with its own data folder. `servers` is its address. Use as a context manager, or `start` and `stop`."""

    def __init__(self, jars: Path | None = None) -> None:
        """Finds or fetches the jars. Raises `Unavailable` with the one reason why there is no Kafka here."""
        self.jars = jars or fetch(ROOT / ".kafka")
        java = shutil.which("java")
        if java is None:
            raise Unavailable("no Java on this machine")
        self._java = java
        self._folder = Path(tempfile.mkdtemp(prefix="mlx-kafka-"))
        self._port, self._controller = _free_ports(2)
        self._config = self._folder / "server.properties"
        self._config.write_text(
            _PROPERTIES.format(port=self._port, controller=self._controller, data=self._folder / "data")
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._formatted = False

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self, timeout_s: float = 60.0) -> None:
        """Returns once the broker takes connections; again after `kill` with the same data and address."""
        if not self._formatted:
            tool = ["kafka.tools.StorageTool", "format", "-t", "bW9kZWx1eC1rYWZrYS10ZQ", "-c", str(self._config)]
            subprocess.run(self._command(*tool), check=True, capture_output=True, timeout=timeout_s)
            self._formatted = True
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._config)), stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        deadline = time.monotonic() + timeout_s
        while not _accepts(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = (self._folder / "server.log").read_text()[-2000:]
                self.kill()
                raise RuntimeError(f"the Kafka broker did not start:\n{text}")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9, as a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stops the process where it is: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self, *arguments: str) -> list[str]:
        return [self._java, *_JVM, "-cp", f"{self.jars}/*", *arguments]


def _die_with_parent() -> None:
    """A test run that is killed must not leave a broker behind (Linux; elsewhere it would stay)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in opened]
    for server in opened:
        server.close()
    return ports


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
