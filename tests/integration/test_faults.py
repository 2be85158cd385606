"""Under steady load every process is killed: the proxy goes on answering, and each accepted request is logged once."""

from __future__ import annotations

import random
import subprocess
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import processes
import psycopg
import psycopg.sql
import pytest
from load import Sent, failures, load
from processes import frozen, until
from stack import CANARY, PROGRAM, Product, Project, call, data_folder, free_ports, suppress_unanswered

POLICY = {"strategy": "single", "model": "gpt-4o-mini"}
PROMPTS = ("Hello!", "Hello!", "Hello!", "Answer slowly.")
"""With a third of all streaming, a twelfth of all are streams that last a second."""
RESTART_S = 15.0
LOST_CONTROL = ("config", "postgres", "analytics")


@pytest.fixture(scope="module")
def victim(providers: str) -> Iterator[Product]:
    """A product of its own for this module: its processes are killed."""
    with data_folder() as folder:
        running = Product(folder, free_ports(), providers).start()
        running.provider("simulated openai", "openai", "/openai/v1")
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(autouse=True)
def settled(victim: Product) -> None:
    """Each test begins with everything up."""
    until(victim.settled, "everything is up", 40)


def upstream(product: Product, users: str) -> Counter[str]:
    """How often the providers were called for each end user."""
    calls = call(product.provider_url + "/simulator/calls").json()["calls"]
    found = (part for each in calls for part in (each.get("body") or "").split('"') if part.startswith(users + "-"))
    return Counter(found)


def once_each(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows by end user. Fails where a request or an end user comes twice."""
    twice = [name for name, count in Counter(row["request_id"] for row in rows).items() if count > 1]
    assert twice == []
    users = Counter(row["end_user_id"] for row in rows)
    assert [name for name, count in users.items() if count > 1] == []
    return {row["end_user_id"]: row for row in rows}


def check(product: Product, project: Project, users: str, sent: Sequence[Sent]) -> dict[str, dict[str, Any]]:
    """Everything that was accepted is in the log exactly once, and nothing else is."""
    seen = {each.user for each in sent if each.status}
    called = upstream(product, users)
    accepted = seen | set(called)
    rows = once_each(product.until_logged(project, len(accepted)))
    assert accepted - set(rows) == set(), "accepted and not in the log"
    assert set(rows) - {each.user for each in sent} == set(), "in the log and never sent"
    for each in sent:
        if each.request_id:
            assert rows[each.user]["request_id"] == each.request_id
        if each.whole:
            assert (rows[each.user]["outcome"], rows[each.user]["status"]) == ("ok", each.status), each
    return rows


def busy_streams(product: Product) -> int:
    open_calls: int = call(product.provider_url + "/simulator/stats").json()["open"]
    return open_calls


def kill_the_proxy_under_load(product: Product, project: Project, users: str, kills: int, pause: Any) -> None:
    """Kills the proxy so many times in one run of load, then holds the log against what callers and providers saw."""
    restarts = []
    with load(product.port, project.key, users=users, prompts=PROMPTS) as running:
        for _ in range(kills):
            running.go_on(100)
            until(lambda: busy_streams(product) >= 5, "streams are open")
            pause()
            product.kill_child("proxy")
            restarts.append(until(lambda: product.serves(project), "the proxy serves again", RESTART_S))
        running.go_on(100)
    print(f"serving again after {', '.join(f'{s:.1f}' for s in restarts)} s; {len(running.sent)} requests sent")
    rows = check(product, project, users, running.sent)
    unknown = [row for row in rows.values() if row["outcome"] == "unknown"]
    cut = [each for each in running.sent if each.status == 200 and not each.whole]
    print(f"{len(cut)} streams were cut, {len(unknown)} requests ended unknown, {len(rows)} rows")
    assert len(unknown) >= 5 * kills / 2
    assert all(row["error_code"] == "proxy_died" for row in unknown)


def test_no_accepted_request_is_lost_or_doubled_when_the_proxy_is_killed(victim: Product) -> None:
    project = victim.project("proxy-killed", POLICY)
    kill_the_proxy_under_load(victim, project, "killed", 1, lambda: None)


@pytest.mark.nightly
def test_no_accepted_request_is_lost_over_twenty_kills_at_random_moments(victim: Product) -> None:
    project = victim.project("proxy-killed-often", POLICY)
    moments = random.Random(20260711)
    kill_the_proxy_under_load(victim, project, "often", 20, lambda: time.sleep(moments.random() / 2))


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(("config",), id="config", marks=pytest.mark.nightly),
        pytest.param(("postgres",), id="postgres", marks=pytest.mark.nightly),
        pytest.param(("analytics",), id="analytics", marks=pytest.mark.nightly),
        pytest.param(LOST_CONTROL, id="all of them"),
    ],
)
def test_the_proxy_serves_while_others_are_dead_and_every_event_arrives_once(
    victim: Product, away: tuple[str, ...]
) -> None:
    users = "-".join(away)
    project = victim.project(users, POLICY)
    with load(victim.port, project.key, users=users, prompts=PROMPTS) as running:
        running.go_on(50)
        with frozen(victim.pid):  # so that nobody starts them again
            for name in away:
                victim.kill_child(name)
            running.go_on(200)
        until(victim.settled, f"{away} are back", 40)
        running.go_on(50)
    assert failures(running.sent) == []
    rows = check(victim, project, users, running.sent)
    assert len(rows) == len(running.sent)


def test_the_proxy_serves_while_others_hang(victim: Product) -> None:
    """SIGSTOP: connections stand and nobody answers, which costs whoever waits without a deadline more than a death."""
    project = victim.project("hanging", POLICY)
    pids = [pid for name in LOST_CONTROL for pid in processes.tree(victim.pids()[name])]
    with load(victim.port, project.key, users="hanging", prompts=PROMPTS) as running:
        running.go_on(50)
        with frozen(*pids):
            running.go_on(300)
        running.go_on(50)
    assert failures(running.sent) == []
    assert len(check(victim, project, "hanging", running.sent)) == len(running.sent)


def test_a_proxy_that_starts_while_everything_else_is_dead_serves_from_the_last_good_configuration(
    victim: Product,
) -> None:
    project = victim.project("boot", POLICY)
    environment = victim.environment("proxy")
    with ExitStack() as stack:
        stack.enter_context(frozen(victim.pid))
        for name in ("proxy", *LOST_CONTROL):
            victim.kill_child(name)
        lone = stack.enter_context(subprocess.Popen([*PROGRAM, "run", "proxy"], env=environment))
        stack.callback(lone.kill)
        until(lambda: victim.serves(project), "it serves", RESTART_S)
        assert victim.chat(project.key, user="booted").status == 200
        readiness = call(f"http://127.0.0.1:{environment['MODELUX_HEALTH_PORT']}/readyz")
        assert readiness.status == 200, readiness.body
    assert [row["end_user_id"] for row in victim.until_logged(project, 1)] == ["booted"]


SPARED = ("keys.json", "endpoints.json")
"""Files whose very purpose is to hold keys; nobody but their owner may read them."""


def holding(folder: Path, needle: bytes) -> list[str]:
    """Files that hold the bytes, whatever they are: tables, write-ahead logs, segments, sockets aside."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in SPARED)
    found = []
    for path in files:
        with suppress_unanswered():
            if needle in path.read_bytes():
                found.append(str(path.relative_to(folder)))
    return found


def test_no_key_is_in_any_file_row_or_message(victim: Product) -> None:
    project = victim.project("leaks", POLICY)
    marked = "a-prompt-with-canary-5b8e"
    for body in ({}, {"stream": True}, {"model": "no-such-model"}, {"messages": "not a list"}):
        victim.chat(project.key, **({"messages": [{"role": "user", "content": marked}]} | body))
    victim.chat("mlx_sk_canary-of-a-caller-77ac")
    victim.manage("/credentials", {"name": "bad", "provider": "nobody", "secret": CANARY, "baseUrl": "ftp://x"})
    victim.until_logged(project, 2)
    keys = {"provider": CANARY, "caller": project.key, "stranger": "mlx_sk_canary-of-a-caller-77ac"}
    keys |= {name: victim.endpoints[name] for name in ("proxy_key", "management_key")}
    found = {name: holding(victim.data_dir, key.encode()) for name, key in keys.items()}
    assert found == {name: [] for name in keys}
    assert victim.told().count("canary") == 0
    logs = "".join(path.read_text(errors="replace") for path in (victim.data_dir / "logs").iterdir())
    assert marked not in logs
    stored = {table: analytics_text(victim, table) for table in ("requests", "attempts")} | database_text(victim)
    assert {"requests", "bus.record"} <= set(mentioning(stored, marked)), "the search does not find what is there"
    assert {name: mentioning(stored, key) for name, key in keys.items()} == {name: [] for name in keys}


def mentioning(stored: Mapping[str, str], secret: str) -> list[str]:
    """Tables that hold the text: as it is, or as PostgreSQL and JSON write bytes."""
    shapes = (secret, secret.encode().hex(), b64encode(secret.encode()).decode().rstrip("="))
    return [table for table, text in stored.items() if any(shape in text for shape in shapes)]


def analytics_text(product: Product, table: str) -> str:
    """Every row of a table of the analytics engine."""
    return "".join(repr(row) for row in product.analytics(f"SELECT * FROM {table}"))  # noqa: S608  # one of ours


def database_text(product: Product) -> dict[str, str]:
    """Every row of every table in PostgreSQL, by table."""
    found = {}
    with psycopg.connect(product.environment("config")["MODELUX_DATABASE_URL"], connect_timeout=5) as connection:
        wanted = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('bus', 'config', 'outbox')"
        for schema, table in connection.execute(wanted).fetchall():
            copied = psycopg.sql.SQL("COPY {} TO STDOUT").format(psycopg.sql.Identifier(schema, table))
            with connection.cursor().copy(copied) as rows:
                found[f"{schema}.{table}"] = b"".join(bytes(piece) for piece in rows).decode()
    return found


def test_bodies_of_a_project_that_keeps_none_are_kept_nowhere(victim: Product) -> None:
    project = victim.project("private", POLICY, logging_mode="metadata_only")
    marked = "a-private-prompt-91fd"
    for stream in (False, True):
        answer = victim.chat(project.key, messages=[{"role": "user", "content": marked}], stream=stream)
        assert answer.status == 200
    rows = victim.until_logged(project, 2)
    detail = victim.manage(f"/logs/{rows[0]['request_id']}").json()["data"]
    assert (detail["request_body"], detail["response_body"]) == (None, None)
    assert holding(victim.data_dir, marked.encode()) == []
    stored = {"requests": analytics_text(victim, "requests")} | database_text(victim)
    assert mentioning(stored, marked) == []
