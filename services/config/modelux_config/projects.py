"""Projects: what requests, keys and routing configs belong to."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.pages import page
from modelux_config.problems import FieldError, conflict, not_found
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id


async def find(scope: Scope, project_id: str) -> pb.ProjectRecord:
    """The project of the caller's organization, or a 404 problem."""
    row = await scope.row("projects", "get", id=project_id)
    if row is None:
        raise not_found("project", project_id)
    return fill(pb.ProjectRecord, row)


async def list_projects(scope: Scope, request: pb.ListProjectsRequest) -> pb.ListProjectsResponse:
    rows, cursor = await page(scope, request.page, "projects")
    return pb.ListProjectsResponse(projects=[fill(pb.ProjectRecord, row) for row in rows], next_cursor=cursor)


async def get_project(scope: Scope, request: pb.GetProjectRequest) -> pb.GetProjectResponse:
    return pb.GetProjectResponse(project=await find(scope, request.id))


async def create_project(scope: Scope, request: pb.CreateProjectRequest) -> pb.CreateProjectResponse:
    record = await create(scope, request.name, request.logging_mode or "full", request.default_max_tokens)
    return pb.CreateProjectResponse(project=record)


async def create(scope: Scope, name: str, logging_mode: str = "full", default_max_tokens: int = 0) -> pb.ProjectRecord:
    """A new project. Raises a 409 problem where the organization has one of that name."""
    record = pb.ProjectRecord(
        id=new_id("proj_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        name=checks.name(name),
        logging_mode=checks.logging_mode(logging_mode),
        default_max_tokens=checks.tokens(default_max_tokens, "defaultMaxTokens"),
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
    )
    await _free_name(scope, record)
    await _store(scope, "insert", record)
    scope.record(Change("project", record.id, "created", after=record, project_id=record.id))
    return record


async def update_project(scope: Scope, request: pb.UpdateProjectRequest) -> pb.UpdateProjectResponse:
    before = await find(scope, request.id)
    after = pb.ProjectRecord()
    after.CopyFrom(before)
    if request.HasField("name"):
        after.name = checks.name(request.name)
    if request.HasField("logging_mode"):
        after.logging_mode = checks.logging_mode(request.logging_mode)
    if request.HasField("default_max_tokens"):
        after.default_max_tokens = checks.tokens(request.default_max_tokens, "defaultMaxTokens")
    if after == before:
        return pb.UpdateProjectResponse(project=before)
    after.updated_at_us = scope.now_us
    await _free_name(scope, after)
    await _store(scope, "update", after)
    scope.record(Change("project", after.id, "updated", before, after, project_id=after.id))
    return pb.UpdateProjectResponse(project=after)


async def delete_project(scope: Scope, request: pb.DeleteProjectRequest) -> pb.DeleteProjectResponse:
    """Refused (409) while keys, routing configs, budgets or credentials refer to the project; they are listed."""
    before = await find(scope, request.id)
    users = await scope.rows("projects", "users", id=request.id)
    if users:
        listed = [
            FieldError(f"{u['kind']}:{u['id']}", str(u["name"]), "Revoke, delete or change it first.") for u in users
        ]
        hint = "Revoke its keys, delete its routing configs and budgets, and take it out of credentials first."
        raise conflict("project_in_use", f"Project {before.name!r} is used by {len(users)} others.", hint, listed)
    await scope.run("projects", "forget_keys", id=request.id)
    await scope.run("projects", "delete", id=request.id)
    scope.record(Change("project", before.id, "deleted", before, project_id=before.id))
    return pb.DeleteProjectResponse()


async def _free_name(scope: Scope, record: pb.ProjectRecord) -> None:
    if await scope.row("projects", "same_name", name=record.name, id=record.id):
        raise conflict("name_taken", f"There is a project named {record.name!r} already.", "Choose another name.")


async def _store(scope: Scope, statement: str, record: pb.ProjectRecord) -> None:
    await scope.run(
        "projects",
        statement,
        id=record.id,
        name=record.name,
        logging_mode=record.logging_mode,
        default_max_tokens=record.default_max_tokens,
        now_us=scope.now_us,
    )
