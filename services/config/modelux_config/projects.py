"""Projects: what requests, keys and routing configs belong to."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.pages import page
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id
from modelux_contracts.project_limits import DEFAULTS, experiment_sample
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found
from routing_core.money import dollars

MAX_CAP_NANO = 10**15
"""A million dollars for one run: beyond that it is a typing error."""
MAX_SAMPLE = 1_000_000
_CAPS = (
    ("experimentSpendCapUsd", "experiment_spend_cap_nano"),
    ("judgeSpendCapUsd", "judge_spend_cap_nano"),
)
_SAMPLES = (("experimentSampleMin", "experiment_sample_min"), ("experimentSampleMax", "experiment_sample_max"))


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
    return pb.CreateProjectResponse(project=await create(scope, request))


async def create(scope: Scope, wanted: pb.CreateProjectRequest) -> pb.ProjectRecord:
    """A new project. Raises a 409 problem where the organization has one of that name."""
    record = pb.ProjectRecord(
        id=new_id("proj_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        name=checks.name(wanted.name),
        logging_mode=checks.logging_mode(wanted.logging_mode or "full"),
        default_max_tokens=checks.tokens(wanted.default_max_tokens, "defaultMaxTokens"),
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
    )
    for name in DEFAULTS:
        setattr(record, name, getattr(wanted, name))
    limits(record)
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
    for name in DEFAULTS:
        if request.HasField(name):
            setattr(after, name, getattr(request, name))
    limits(after)
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


def limits(record: pb.ProjectRecord) -> None:
    """What experiments may spend and sample; 0 stands for the default. Raises a 422 problem."""
    for field, name in _CAPS:
        value = getattr(record, name)
        if not 0 <= value <= MAX_CAP_NANO:
            hint = f"Use at most {dollars(MAX_CAP_NANO)}, or 0 for the default of {dollars(DEFAULTS[name])}."
            raise invalid(FieldError(field, f"{dollars(value)} is out of range", hint))
    for field, name in _SAMPLES:
        value = getattr(record, name)
        if not 0 <= value <= MAX_SAMPLE:
            hint = f"Use at most {MAX_SAMPLE:,} rows, or 0 for the default of {DEFAULTS[name]:,}."
            raise invalid(FieldError(field, f"{value} is out of range", hint))
    least, most = experiment_sample(record)
    if least > most:
        field = "experimentSampleMin" if record.experiment_sample_min else "experimentSampleMax"
        message = f"the smallest sample would be {least:,} rows and the largest {most:,}"
        raise invalid(FieldError(field, message, "Set both, with experimentSampleMin not above experimentSampleMax."))


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
        **{limit: getattr(record, limit) for limit in DEFAULTS},
    )
