"""The processes of one machine: which there are, on which ports, with which environment."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelux_cli.services import LAYOUTS
from modelux_cli.up.engines import Urls
from modelux_cli.up.probe import answers, free_port
from modelux_cli.up.secrets import Secrets
from modelux_cli.up.supervisor import Child
from modelux_runtime.settings import child_environment

DRAIN_S = 8
"""What requests under way get when everything stops."""
LONGEST_SOCKET_PATH = 100
"""Linux refuses Unix sockets whose path is 108 bytes or longer."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens. Only `proxy` and `management` leave loopback, and only when `--host` says so."""

    proxy: int
    management: int
    simulator: int
    health: Mapping[str, int]

    @staticmethod
    def choose(proxy: int) -> Ports:
        health = {process[0]: free_port() for process in LAYOUTS["embedded"]}
        return Ports(proxy, proxy + 1, proxy + 2, health)


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that the child processes have in common."""

    data_dir: Path
    host: str
    ports: Ports
    secrets: Secrets
    urls: Urls
    config_socket: Path

    def environment(self, process: str) -> dict[str, str]:
        """The environment of one process of services."""
        config = f"unix:{self.config_socket}"
        replay, embedding, judge = (
            f"unix:{self.config_socket.with_name(f'{name}.sock')}" for name in ("replay", "embedding", "judge")
        )
        return child_environment(
            {
                "MODELUX_DATABASE_URL": self.urls.database,
                "MODELUX_CLICKHOUSE_URL": self.urls.clickhouse,
                "MODELUX_BUS_URL": self.urls.database,
                "MODELUX_ENCRYPTION_KEY": self.secrets.encryption_key,
                "MODELUX_CONFIG_URL": config,
                "MODELUX_CONFIG_LISTEN": config,
                "MODELUX_REPLAY_URL": replay,
                "MODELUX_REPLAY_LISTEN": replay,
                "MODELUX_EMBEDDING_URL": embedding,
                "MODELUX_EMBEDDING_LISTEN": embedding,
                "MODELUX_EMBEDDING_WEIGHTS_DIR": str(weights_dir(self.data_dir)),
                "MODELUX_JUDGE_URL": judge,
                "MODELUX_JUDGE_LISTEN": judge,
                "MODELUX_JUDGE_DATA_DIR": str(self.data_dir / "judge"),
                "MODELUX_HEALTH_PORT": str(self.ports.health[process]),
                "MODELUX_PROXY_HOST": self.host,
                "MODELUX_PROXY_PORT": str(self.ports.proxy),
                "MODELUX_PROXY_DATA_DIR": str(self.data_dir / "proxy"),
                "MODELUX_PROXY_DRAIN_S": str(DRAIN_S),
                "MODELUX_RESPONSE_SAMPLER_DATA_DIR": str(self.data_dir / "sampler"),
                "MODELUX_MANAGEMENT_HOST": self.host,
                "MODELUX_MANAGEMENT_PORT": str(self.ports.management),
                "MODELUX_MANAGEMENT_HOSTS": "localhost,127.0.0.1,::1" if self.host == "127.0.0.1" else "*",
            }
        )

    def control_plane(self) -> Child:
        """The process that holds the configuration."""
        return self._services(next(each for each in LAYOUTS["embedded"] if "config" in each))

    def others(self, *, demo: bool) -> list[Child]:
        """Every other process, in the order of their start."""
        services = [self._services(each) for each in LAYOUTS["embedded"] if "config" not in each]
        return [self.simulator(), *services] if demo else services

    def _services(self, names: Sequence[str]) -> Child:
        argv = [sys.executable, "-m", "modelux_cli.main", "run", *names]
        ready = answers(self.ports.health[names[0]], "/livez")
        return Child("+".join(names), argv, self.environment(names[0]), self.log(names[0]), ready)

    def simulator(self) -> Child:
        """The simulated providers of the demo."""
        argv = [sys.executable, "-m", "modelux_cli.main", "simulator", "--port", str(self.ports.simulator), "--demo"]
        ready = answers(self.ports.simulator, "/simulator/stats")
        return Child("simulator", argv, child_environment({}), self.log("simulator"), ready)

    def log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"


def weights_dir(data_dir: Path) -> Path:
    """Where `modelux embeddings install` puts the weights of the local embedder."""
    return data_dir / "minilm"


def config_socket(data_dir: Path) -> Path:
    """Where the config service listens: in the data folder, or in a temporary one where that path is too long."""
    path = data_dir / "run" / "config.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        return path
    return Path(tempfile.mkdtemp(prefix="modelux-")) / "config.sock"
