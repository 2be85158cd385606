"""`modelux up` as a newcomer meets it: it answers, explains, follows changes, refuses clearly and ends cleanly."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import processes
import pytest
from load import request_bytes
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionToolParam
from processes import until
from stack import PROGRAM, Product, Project, data_folder, free_ports, own_environment

SINGLE = {"strategy": "single", "model": "gpt-4o-mini"}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
LIVE_S = 1.0
WARM_S = 15.0
RESTART_S = 15.0


@pytest.fixture(scope="module")
def project(product: Product) -> Project:
    policy = {
        "strategy": "fallback",
        "attempts": [{"model": "claude-haiku-4-5", "timeout_ms": 3000}, {"model": "gpt-4o-mini"}],
        "retry_on": ["429", "5xx", "timeout"],
    }
    return product.project("newcomer", policy)


@pytest.fixture(scope="module")
def own(providers: str) -> Iterator[Product]:
    """A product whose processes may be killed without disturbing other tests."""
    with data_folder() as folder:
        running = Product(folder, free_ports(), providers).start()
        running.provider("simulated openai", "openai", "/openai/v1")
        try:
            yield running
        finally:
            running.stop()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], env=own_environment(), capture_output=True, text=True, timeout=60)


def test_the_first_call_answers_and_tells_what_served_it(product: Product, project: Project) -> None:
    answer = product.chat(project.key)
    assert answer.status == 200, answer.body
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-modelux-config"] == "@it"
    assert answer.headers["x-modelux-model"] == "claude-haiku-4-5"


def test_the_unmodified_sdk_answers_streams_and_calls_tools(product: Product, project: Project) -> None:
    with OpenAI(base_url=product.endpoints["proxy_url"], api_key=project.key, max_retries=0) as client:
        asked: dict[str, Any] = {"model": "@it", "messages": [{"role": "user", "content": "Hello!"}]}
        assert client.chat.completions.create(**asked).choices[0].message.content
        pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert pieces[-1].usage is not None
        assert pieces[-1].usage.completion_tokens > 0
        called = client.chat.completions.create(**asked, tools=[WEATHER]).choices[0].message.tool_calls
        assert called is not None
        assert called[0].function.name == "weather"  # type: ignore[union-attr]  # a function tool was offered
        assert "@it" in {model.id for model in client.models.list()}


async def test_the_asynchronous_sdk_answers_and_streams(product: Product, project: Project) -> None:
    async with AsyncOpenAI(base_url=product.endpoints["proxy_url"], api_key=project.key, max_retries=0) as client:
        asked: dict[str, Any] = {"model": "@it", "messages": [{"role": "user", "content": "Hello!"}]}
        assert (await client.chat.completions.create(**asked)).choices[0].message.content
        stream = await client.chat.completions.create(**asked, stream=True)
        assert "".join([piece.choices[0].delta.content or "" async for piece in stream if piece.choices])


def test_the_trace_command_explains_that_very_call(product: Product, project: Project) -> None:
    prompt = "[[sim: status=529]]"
    answer = product.chat(project.key, messages=[{"role": "user", "content": prompt}], user="u-explained")
    request_id = answer.headers["x-request-id"]
    until(lambda: product.manage(f"/logs/{request_id}").status == 200, "the call is in the log")
    explained = run("logs", "--trace", request_id, "--data-dir", str(product.data_dir))
    assert explained.returncode == 0, explained.stderr
    first, *rest = explained.stdout.splitlines()
    assert first.startswith(f"[modelux] {request_id} ")
    told = "\n".join(rest)
    for word in (
        "claude-haiku-4-5:anthropic",
        "gpt-4o-mini:openai",
        "decision: fallback",
        "reason:",
        "config: @it (v1)",
    ):
        assert word in told
    assert f"project: {project.id}" in told
    row = json.loads(run("logs", "--trace", request_id, "--json", "--data-dir", str(product.data_dir)).stdout)
    assert row["end_user_id"] == "u-explained"
    assert row["status"] == answer.status
    assert [each["outcome"] for each in row["trace"]["attempts"]] == ["status", "status"]


def test_the_list_of_logs_shows_the_newest_first(product: Product, project: Project) -> None:
    ids = [product.chat(project.key, model="gpt-4o-mini").headers["x-request-id"] for _ in range(2)]
    until(lambda: product.manage(f"/logs/{ids[-1]}").status == 200, "the call is in the log")
    listed = run("logs", "--limit", "2", "--data-dir", str(product.data_dir)).stdout.splitlines()
    assert [ids[1] in listed[0], ids[0] in listed[1]] == [True, True]


def test_a_call_that_is_not_there_is_said_in_one_line(product: Product) -> None:
    refused = run("logs", "--trace", "req_none", "--data-dir", str(product.data_dir))
    assert refused.returncode == 4
    assert len(refused.stderr.splitlines()) == 1
    assert "req_none" in refused.stderr


def test_a_config_is_live_within_a_second_and_the_slug_moves_with_activate_and_rollback(product: Product) -> None:
    project = product.project("versions", SINGLE)
    began = time.monotonic()
    made = product.made(
        "/routing-configs", {"projectId": project.id, "slug": "fresh", "policy": SINGLE | {"model": "gpt-4o"}}
    )
    until(lambda: product.chat(project.key, model="@fresh").status == 200, "the new config serves", 10, 0.005)
    took_s = time.monotonic() - began
    print(f"live after {took_s * 1000:.0f} ms")
    assert took_s < LIVE_S

    def serves() -> tuple[str, str]:
        headers = product.chat(project.key, model="@fresh").headers
        return headers["x-modelux-model"], headers["x-modelux-config-version"]

    path = f"/routing-configs/{made['id']}"
    assert serves() == ("gpt-4o", "1")
    product.made(f"{path}/versions", {"policy": SINGLE})
    assert serves() == ("gpt-4o", "1")
    product.made(f"{path}/activate", {"version": 2})
    assert until(lambda: serves() == ("gpt-4o-mini", "2"), "version 2 serves", 10, 0.005) < LIVE_S
    assert product.chat(project.key, model="@fresh:1").headers["x-modelux-model"] == "gpt-4o"
    product.made(f"{path}/rollback", {})
    assert until(lambda: serves() == ("gpt-4o", "1"), "version 1 serves again", 10, 0.005) < LIVE_S


def test_a_revoked_key_is_refused_within_two_seconds(product: Product, project: Project) -> None:
    key = product.made("/keys", {"projectId": project.id, "name": "short-lived"})
    until(lambda: product.chat(key["key"]).status == 200, "the key is let in", 5)
    answer = product.manage(f"/keys/{key['id']}/revoke", {})
    if answer.status == 404 or answer.status == 405:
        answer = product.manage(f"/keys/{key['id']}", method="DELETE")
    assert answer.status == 200, answer.body
    assert until(lambda: product.chat(key["key"]).status == 401, "the key is refused", 5) < 2.0


def test_json_prints_exactly_one_line_with_the_six_keys(product: Product) -> None:
    assert list(product.endpoints) == [
        "proxy_url",
        "manage_url",
        "dashboard_url",
        "proxy_key",
        "management_key",
        "project_id",
    ]
    assert product.endpoints["dashboard_url"] is None
    kept = json.loads((product.data_dir / "endpoints.json").read_text())
    assert kept == product.endpoints
    assert (product.data_dir / "endpoints.json").stat().st_mode & 0o077 == 0


def refused(*words: str) -> str:
    """The one line of a refusal to start."""
    ended = run("up", "--json", *words)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def test_a_second_start_in_the_same_folder_is_refused_in_one_line(product: Product) -> None:
    line = refused("--data-dir", str(product.data_dir), "--port", str(free_ports()))
    assert "another modelux runs in" in line
    assert product.chat().status == 404 or product.ready("proxy")


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_that_is_taken_is_refused_in_one_line(offset: int) -> None:
    port = free_ports()
    with socket.socket() as taken, data_folder() as folder:
        taken.bind(("127.0.0.1", port + offset))
        taken.listen()
        assert f"port {port + offset} is in use" in refused("--data-dir", str(folder), "--port", str(port))


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    line = refused("--data-dir", str(tmp_path / "file" / "data"), "--port", str(free_ports()))
    assert "cannot write to" in line
    assert "--data-dir" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL needs an account of its own only under root")
def test_a_folder_that_postgresql_may_not_enter_is_refused_in_one_line(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    line = refused("--data-dir", str(private / "data"), "--port", str(free_ports()))
    assert "may not enter" in line


@pytest.mark.parametrize("name", ["proxy", "config", "postgres", "analytics"])
def test_a_killed_process_is_started_again_and_serves(own: Product, name: str) -> None:
    project = own.project(f"kill-{name}", SINGLE)
    before = own.kill_child(name)
    until(lambda: own.pids().get(name, before) != before, f"{name} runs again", RESTART_S)
    own.until_ready("proxy", "config", within_s=RESTART_S)
    until(lambda: own.manage("/projects").status == 200, "the management API answers", RESTART_S)
    answer = own.chat(project.key)
    assert answer.status == 200, answer.body
    assert own.until_logged(project, 1)[0]["request_id"] == answer.headers["x-request-id"]


def test_stopping_leaves_nothing_behind_and_the_next_start_is_warm_and_knows_everything(providers: str) -> None:
    with data_folder() as folder:
        product = Product(folder, free_ports(), providers).start()
        product.provider("simulated openai", "openai", "/openai/v1")
        project = product.project("kept", SINGLE)
        product.chat(project.key)
        before, endpoints = product.until_logged(project, 1), product.endpoints
        assert product.stop() == 0
        assert processes.mentioning(str(folder)) == []
        product.start()
        try:
            print(f"warm start: {product.started_s:.2f} s")
            assert product.started_s < WARM_S
            assert product.endpoints == endpoints
            assert product.chat(project.key).status == 200
            assert product.until_logged(project, 2)[1:] == before
        finally:
            product.stop()


@contextmanager
def open_stream(product: Product, project: Project) -> Iterator[socket.socket]:
    """A streamed answer of a second whose first bytes have come."""
    asked = {"model": "@it", "stream": True, "messages": [{"role": "user", "content": "Answer slowly."}]}
    with socket.create_connection(("127.0.0.1", product.port), 20) as sock:
        sock.sendall(request_bytes(project.key, json.dumps(asked).encode()))
        assert b" 200 " in sock.recv(16)
        yield sock


def test_killing_the_supervisor_leaves_no_orphan_and_the_next_start_works(providers: str) -> None:
    with data_folder() as folder:
        product = Product(folder, free_ports(), providers).start()
        product.provider("simulated openai", "openai", "/openai/v1")
        project = product.project("orphans", SINGLE)
        answered = product.chat(project.key)
        with open_stream(product, project) as stream:
            product.kill()
            product.start()
            assert b"data: [DONE]" in stream.makefile("rb").read(), "a stream under way was cut"
        try:
            assert product.chat(project.key).status == 200
            rows = product.until_logged(project, 3)
            assert answered.headers["x-request-id"] in {row["request_id"] for row in rows}
            assert [row["outcome"] for row in rows] == ["ok"] * 3
        finally:
            product.kill()
        gone_s = until(lambda: processes.mentioning(str(folder)) == [], "every process has ended", 20)
        print(f"children ended {gone_s:.1f} s after the supervisor was killed")


def test_the_demo_fills_the_log_through_the_proxy_and_outlives_its_death() -> None:
    with data_folder() as folder:
        product = Product(folder, free_ports(), "", "--demo").start()
        try:
            demo = Project(product.endpoints["project_id"], product.endpoints["proxy_key"], "")
            rows = product.until_logged(demo, 200)
            assert {row["requested_model"] for row in rows} == {"@production", "@planner", "@executor"}
            assert len({row["tags"].get("run_id") for row in rows}) > 5
            assert len({row["end_user_id"] for row in rows}) > 5
            product.kill_child("proxy")
            until(lambda: product.serves(demo), "the proxy serves again", RESTART_S)
            more = product.until_logged(demo, len(rows) + 300)
            assert len({row["request_id"] for row in more}) == len(more)
            assert product.pids().keys() >= {"proxy", "config", "postgres", "analytics", "simulator"}
        finally:
            assert product.stop() == 0
