"""The analytics process through the unmodified ClickHouse client: queries, inserts, errors, isolation, crashes."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from modelux_embedded.clickhouse import EmbeddedClickHouse, temporary_clickhouse
from modelux_embedded.errors import EngineError


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedClickHouse]:
    with temporary_clickhouse() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="mlx-ch-test-"))
    yield path
    shutil.rmtree(path)


def connect(url: str, database: str = "default") -> Client:
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        host=parts.hostname,
        port=parts.port,
        username=parts.username,
        password=parts.password or "",
        database=database,
        compress=False,
        tz_mode="aware",
        autogenerate_session_id=False,
    )


@pytest.fixture
def client(server: EmbeddedClickHouse) -> Iterator[Client]:
    with connect(server.url) as opened:
        yield opened


def test_only_the_owner_may_read_what_is_stored(server: EmbeddedClickHouse) -> None:
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700


def test_bound_parameters_come_back_as_they_were(client: Client) -> None:
    wild = 'it\'s \\ "q" \n\t {x:String} ; -- 漢'
    sent = {"s": wild, "a": ["a'b", "c,d"], "n": -(2**62), "t": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "z": None}
    rows = client.query(
        "SELECT {s:String}, {a:Array(String)}, {n:Int64}, {t:DateTime64(3,'UTC')}, {z:Nullable(String)}",
        parameters=sent,
    ).result_rows
    assert rows == [(wild, ["a'b", "c,d"], -(2**62), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None)]


def test_long_parameters_travel_as_a_form(client: Client) -> None:
    long = "x" * 100_000
    assert client.query("SELECT {s:String} AS s", parameters={"s": long}).result_rows == [(long,)]


def test_rows_inserted_are_the_rows_read(client: Client) -> None:
    client.command(
        "CREATE TABLE kinds (i Int64, s LowCardinality(String), b String, m Map(String, String), n Nullable(Float64),"
        " t DateTime64(6,'UTC'), f Bool, a Array(UInt16)) ENGINE = MergeTree ORDER BY i"
    )
    stamp = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
    rows = [[k, f"s{k % 3}", "é\x00\n", {"k": "v"}, None if k else 1.5, stamp, k % 2 == 0, [k, 2]] for k in range(1000)]
    summary = client.insert("kinds", rows, column_names=list("isbmntfa"))
    assert summary.written_rows == 1000
    assert [list(r) for r in client.query("SELECT * FROM kinds ORDER BY i").result_rows] == rows
    assert client.command("SELECT count() FROM kinds") == 1000


def test_long_results_are_streamed_whole(client: Client) -> None:
    with client.query_row_block_stream("SELECT number, repeat('x', 50) FROM numbers(1000000)") as stream:
        assert sum(len(block) for block in stream) == 1_000_000
    assert client.query("SELECT sum(number) FROM numbers(10)").result_rows == [(45,)]


def test_a_stream_left_halfway_frees_its_session(server: EmbeddedClickHouse) -> None:
    for _ in range(10):
        with connect(server.url) as client, client.query_row_block_stream("SELECT * FROM numbers(5000000)") as stream:
            next(iter(stream))
    with connect(server.url) as client:
        assert client.command("SELECT 1") == 1


def test_results_without_rows(client: Client) -> None:
    assert client.query("SELECT 1 WHERE 0").result_rows == []
    assert client.query("SELECT 1 AS one LIMIT 0").column_names == ("one",)
    assert list(client.query("SELECT number FROM numbers(3)").named_results()) == [{"number": n} for n in range(3)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        pytest.param("SELEC 1", 62, id="syntax"),
        pytest.param("SELECT * FROM nothing_here", 60, id="unknown table"),
        pytest.param("SELECT * FROM nowhere.t", 81, id="unknown database"),
        pytest.param("SELECT throwIf(number = 3) FROM numbers(10)", 395, id="while running"),
        pytest.param("CREATE TABLE k (a Int8) ENGINE = Kafka", 48, id="engine that bricks the folder"),
        pytest.param("SELECT * FROM file('/etc/passwd')", 497, id="reads files"),
        pytest.param("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1", 159, id="too slow"),
        pytest.param(
            "SELECT groupArray(number) FROM numbers(1e8) SETTINGS max_memory_usage = 9000000", 241, id="memory"
        ),
        pytest.param("SET max_threads = 1", 48, id="session state"),
    ],
)
def test_errors_carry_their_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as failure:
        client.query(sql) if sql.startswith("SELECT") else client.command(sql)
    assert failure.value.code == code


def test_settings_of_one_call_do_not_reach_the_next(client: Client) -> None:
    query = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    default = client.query(query).result_rows
    for _ in range(8):
        assert client.query(query, settings={"max_block_size": 1234}).result_rows == [("1234",)]
    with pytest.raises(DatabaseError):
        client.query("SELECT nope", settings={"max_block_size": 99})
    for _ in range(8):
        assert client.query(query).result_rows == default


def test_an_insert_with_a_known_token_is_not_repeated(client: Client) -> None:
    client.command(
        "CREATE TABLE once (a Int64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("one", "one", "two"):
        client.insert("once", [[1]], column_names=["a"], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM once") == 2


def test_a_bad_insert_leaves_nothing_and_does_not_spoil_the_session(client: Client) -> None:
    client.command("CREATE TABLE strict (a Int64) ENGINE = MergeTree ORDER BY a")
    for _ in range(5):
        with pytest.raises(DatabaseError):
            client.raw_insert("strict", column_names=["a"], insert_block=b"\x01\x05garbage", fmt="Native")
    client.insert("strict", [[7]], column_names=["a"])
    assert client.query("SELECT a FROM strict").result_rows == [(7,)]


def test_databases_are_kept_apart(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE DATABASE other")
    client.command("CREATE TABLE other.only_here (a Int8) ENGINE = Memory")
    with connect(server.url, "other") as there:
        assert there.command("SELECT count() FROM only_here") == 0
    with pytest.raises(DatabaseError):
        client.command("SELECT count() FROM only_here")


def test_many_clients_at_once_get_their_own_answers(server: EmbeddedClickHouse) -> None:
    def ask(number: int) -> bool:
        with connect(server.url) as client:
            return all(
                client.query("SELECT {n:Int64}", parameters={"n": number + k}).result_rows == [(number + k,)]
                for k in range(20)
            )

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(ask, range(0, 12_000, 1000)))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic " + base64.b64encode(b"modelux:no").decode()}])
def test_no_password_no_answer(server: EmbeddedClickHouse, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/?query=SELECT+1", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (403, "516")
    answer.read()
    connection.request("GET", "/ping")
    assert connection.getresponse().read() == b"Ok.\n"
    connection.close()


def test_acknowledged_rows_survive_kill_9(folder: Path) -> None:
    with EmbeddedClickHouse(folder) as server:
        with connect(server.url) as client:
            client.command("CREATE TABLE kept (a Int64) ENGINE = MergeTree ORDER BY a")
            for k in range(50):
                client.insert("kept", [[k]], column_names=["a"])
        assert server.pid is not None
        port = server.port
        os.kill(server.pid, signal.SIGKILL)
        while server.running():
            time.sleep(0.01)
        server.start()
        assert server.port == port
        with connect(server.url) as client:
            assert client.command("SELECT count() FROM kept") == 50


def test_a_second_process_on_the_folder_is_told_so_in_one_line(server: EmbeddedClickHouse) -> None:
    with pytest.raises(EngineError, match=r"another process has the analytics folder \S+: stop it first$"):
        EmbeddedClickHouse(server.data_dir).start()


def test_it_ends_with_its_supervisor(folder: Path) -> None:
    script = (
        "import sys,time; from modelux_embedded.clickhouse import EmbeddedClickHouse\n"
        "s = EmbeddedClickHouse(sys.argv[1]); s.start(); print(s.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        supervisor.kill()
    with EmbeddedClickHouse(folder) as server, connect(server.url) as client:
        assert client.command("SELECT 1") == 1
