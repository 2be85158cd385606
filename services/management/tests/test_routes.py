"""Every route declares who may call it, and says so in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from management_harness import Client, problem_of

from modelux_config.operations import OPERATIONS
from modelux_management.app import PREFIX, ROUTES, build_api
from modelux_management.authorized import AuthorizedRoute, Routes
from modelux_management.routes import (
    experiment_schedules,
    experiment_scorecard,
    experiment_similar,
    experiments,
    judge_runs,
    rollouts,
)
from modelux_runtime.auth import ROLES, allows


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in build_api().openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATION_IDS = sorted(operation["operationId"] for _, _, operation in operations())


def test_every_route_of_the_application_is_authorized_or_public_by_name() -> None:
    declared = [route for routes in ROUTES for route in routes.routes]
    assert declared
    assert all(isinstance(route, AuthorizedRoute) and route.role in ROLES for route in declared)
    served = {(method, path) for method, path, _ in operations()}
    assert served == {
        (method, PREFIX + route.path)
        for route in declared
        if isinstance(route, AuthorizedRoute)
        for method in route.methods
    }


def test_a_route_without_a_role_cannot_be_declared() -> None:
    routes = Routes("x")
    with pytest.raises(TypeError, match="declares no role"):
        routes.add_api_route("/x", lambda: None)


def test_roles_of_routes_are_those_of_the_operations_behind_them() -> None:
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): operation for name, operation in OPERATIONS.items()}
    names |= {"get_me": OPERATIONS["AuthenticateKey"], "restore_routing_config": OPERATIONS["ArchiveRoutingConfig"]}
    own = {"list_logs", "get_log", "import_logs", "reprice_history"}
    elsewhere = (experiments, experiment_similar, experiment_scorecard, experiment_schedules, judge_runs, rollouts)
    replayed = (route for each in elsewhere for route in each.routes.routes)
    own |= {route.operation_id for route in replayed if isinstance(route, AuthorizedRoute)}
    for _, path, operation in operations():
        if operation["operationId"] not in own:
            assert operation["x-modelux-role"] == names[operation["operationId"]].role, path
    reached = {operation["operationId"] for _, _, operation in operations()}
    assert set(names) - reached <= {"authenticate_key", "open_spend_cap", "record_audit"}


def test_the_document_is_openapi_3_1_with_stable_names() -> None:
    document = build_api().openapi()
    assert document["openapi"].startswith("3.1")
    assert len(set(OPERATION_IDS)) == len(OPERATION_IDS)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in OPERATION_IDS)
    for _, path, operation in operations():
        assert operation["security"] == [{"management_key": []}], path
        assert operation["summary"]
        assert {"401", "403", "503"} <= set(operation["responses"])
    assert document["components"]["securitySchemes"]["management_key"]["scheme"] == "bearer"
    assert "ProblemBody" in document["components"]["schemas"]


def test_bodies_are_strict_and_in_camel_case() -> None:
    schemas = build_api().openapi()["components"]["schemas"]
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"].get("$ref", "").rpartition("/")[2]
        for _, _, operation in operations()
        if "application/json" in operation.get("requestBody", {}).get("content", ())
    } - {""}
    assert len(bodies) >= 10
    for name in bodies:
        assert schemas[name]["additionalProperties"] is False, name
        assert all(re.fullmatch(r"[a-z]+([A-Z0-9][a-z0-9]*)*", field) for field in schemas[name]["properties"]), name


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([("authorization", "Bearer")], id="no key"),
        pytest.param([("authorization", "Bearer  ")], id="blank"),
        pytest.param([("authorization", "Bearer mlx_mk_unknown")], id="unknown"),
        pytest.param([("authorization", "Bearer mlx_sk_proxykey")], id="a proxy key"),
        pytest.param([("authorization", "Basic bWx4OngK")], id="basic"),
        pytest.param([("authorization", "Bearer mlx_mk_' OR 1=1; --")], id="quotes"),
        pytest.param([("authorization", "Bearer mlx_mk_" + "x" * 10_000)], id="long"),
        pytest.param([("authorization", "Bearer mlx_mk_\xff\xfe".encode("latin-1"))], id="bytes"),
        pytest.param([("authorization", "Bearer a"), ("authorization", "Bearer b")], id="two"),
    ],
)
async def test_bad_keys_get_one_answer_on_every_route(http: httpx2.AsyncClient, headers: list[Any]) -> None:
    shapes = set()
    for method, path, _ in operations():
        url = "http://localhost" + re.sub(r"{\w+}", "1", path)
        answer = await http.request(method, url, headers=headers, content=b"{nonsense")
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        body = problem_of(answer)
        shapes.add((body["code"], body["title"], body["detail"], body["hint"], tuple(sorted(body))))
    assert len(shapes) == 1


async def test_roles_are_checked_on_every_route(acme: Client) -> None:
    clients = {role: await acme.with_role(role) for role in ROLES}
    for method, path, operation in operations():
        needed = operation["x-modelux-role"]
        url = "http://localhost" + re.sub(r"{\w+}", "1", path)
        for role, client in clients.items():
            if allows(role, needed):
                continue
            problem = await client.refused(method, url, 403, content=b"{nonsense")
            assert problem["code"] == "role_required"
            assert needed in problem["detail"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8081", 200),
        ("evil.com", 421),
        ("localhost.evil.com", 421),
        ("x/", 400),
        ("x?", 400),
        ("x#", 400),
        ("a@b", 400),
        ("", 400),
        ("[::1", 400),
        ("localhost:port", 400),
    ],
)
async def test_the_host_must_be_ours(http: httpx2.AsyncClient, host: str, status: int) -> None:
    answer = await http.get("http://localhost/openapi.json", headers={"host": host})
    assert answer.status_code == status
    if status != 200:
        problem_of(answer)


async def test_two_hosts_are_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.get("http://localhost/openapi.json", headers=[("host", "localhost"), ("host", "localhost")])
    assert answer.status_code == 400


async def test_unknown_paths_and_methods_are_problems(http: httpx2.AsyncClient) -> None:
    for path in ("/manage/v1/nothing", "/", "/manage/v1/../v1/projects", "/manage/v1//projects", "/manage/v1/%00"):
        assert (await http.get(f"http://localhost{path}")).status_code in (401, 404), path
    answer = await http.put("/projects")
    assert answer.status_code == 405
    assert problem_of(answer)["code"] == "method_not_allowed"
    answer = await http.get("/nothing")
    assert problem_of(answer)["code"] == "not_found"
