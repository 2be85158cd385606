"""`modelux rollback`: what it asks, sends, tells and refuses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import Handler, Server, experiment_server, run

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.routes.routing_configs import RoutingConfigsQuery, routing_config
from modelux_management.routes.versions import Rollback


def config(version: int, identifier: str = "cfg_1") -> dict[str, Any]:
    record = pb.RoutingConfigRecord(id=identifier, slug="production", active_version=version, policy_json=b"{}")
    return routing_config(record).model_dump(mode="json")


class Configs(Handler):
    """`@production` at version 4 in one project, `@twice` in two."""

    def found(self, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        match self.command, path:
            case "GET", "/routing-configs":
                asked = RoutingConfigsQuery.model_validate(query)
                known = {"production": [config(4)], "twice": [config(4), config(2, "cfg_2")]}.get(asked.slug, [])
                return {"data": known[:1] if asked.project_id else known, "next_cursor": None}
            case "GET", "/routing-configs/cfg_1":
                return {"data": config(4)}
            case "POST", "/routing-configs/cfg_1/rollback":
                return {"data": config(Rollback.model_validate(body).version or 3), "warnings": []}
        return super().found(path, query, body)


@pytest.fixture
def server() -> Iterator[Server]:
    with experiment_server() as serving:
        serving.RequestHandlerClass = Configs
        yield serving


@pytest.mark.parametrize("words", [["production"], ["@production"], ["cfg_1"], ["@twice", "--project", "proj_1"]])
def test_the_version_before_is_live_again(server: Server, words: list[str]) -> None:
    shown = run(server, "rollback", *words)
    assert shown.output == "@production:3 is live, in place of version 4\n"
    assert server.bodies == [{}]


@pytest.mark.parametrize(
    ("version", "told"),
    [("2", "@production:2 is live, in place of version 4\n"), ("4", "@production:4 is live\n")],
)
def test_a_version_can_be_named(server: Server, version: str, told: str) -> None:
    assert run(server, "rollback", "@production", "--to", version).output == told
    assert server.bodies == [{"version": int(version)}]


def test_json_is_what_the_api_shows(server: Server) -> None:
    assert '"active_version": 3' in run(server, "rollback", "production", "--json").output


@pytest.mark.parametrize(
    ("slug", "says"),
    [("@other", "no routing config @other"), ("@", "no routing config @"), ("@twice", "several projects")],
)
def test_what_is_not_one_config_is_left_alone(server: Server, slug: str, says: str) -> None:
    shown = run(server, "rollback", slug)
    assert (shown.exit_code, says in shown.stderr) == (2, True), shown.output
    assert server.bodies == []


def test_a_refusal_is_told_with_its_remedy(server: Server) -> None:
    server.refusal = {"title": "Conflict", "code": "nothing_to_roll_back", "detail": "No version.", "hint": "Name one."}
    shown = run(server, "rollback", "production")
    assert (shown.exit_code, "Name one." in shown.stderr) == (4, True)
