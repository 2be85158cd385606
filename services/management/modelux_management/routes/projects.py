"""Projects: what requests, keys and routing configs belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.project_limits import experiment_sample, experiment_spend_cap_nano, judge_spend_cap_nano
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Body, Data, Deleted, Listing, NanoUsd, PageQuery, listing, moment, usd

routes = Routes("projects")

LoggingMode = Literal["full", "metadata_only"]
_SpendCap = Annotated[
    NanoUsd | None,
    Field(
        description="Dollars that one run may spend at most; 0: the default, $50 for experiments, $20 for judge runs."
    ),
]
_Sample = Annotated[
    int | None, Field(ge=0, le=1_000_000, description="Bound of `sample.size`; 0: the default, 1,000 and 50,000.")
]


class Project(BaseModel):
    """A project."""

    id: str
    organization_id: str
    name: str
    logging_mode: LoggingMode = Field(description="Whether request and response bodies are stored.")
    default_max_tokens: int | None = Field(
        description="Where a caller names no max_tokens; null: the model's own limit."
    )
    experiment_spend_cap_usd: float = Field(description="The most that one experiment may spend.")
    judge_spend_cap_usd: float = Field(description="The most that one judge run may spend.")
    experiment_sample_min: int = Field(description="The smallest `sample.size` of an experiment.")
    experiment_sample_max: int = Field(description="The largest.")
    created_at: datetime
    updated_at: datetime


class CreateProject(Body):
    """A new project."""

    name: str
    logging_mode: LoggingMode = "full"
    default_max_tokens: int = Field(0, ge=0, le=10_000_000)
    experiment_spend_cap_usd: _SpendCap = None
    judge_spend_cap_usd: _SpendCap = None
    experiment_sample_min: _Sample = None
    experiment_sample_max: _Sample = None


class UpdateProject(Body):
    """What to change; fields left out stay as they are."""

    name: str | None = None
    logging_mode: LoggingMode | None = None
    default_max_tokens: int | None = Field(None, ge=0, le=10_000_000)
    experiment_spend_cap_usd: _SpendCap = None
    judge_spend_cap_usd: _SpendCap = None
    experiment_sample_min: _Sample = None
    experiment_sample_max: _Sample = None


@routes.endpoint("GET", "/projects", "List the projects", role="viewer")
async def list_projects(caller: Authorized, query: Annotated[PageQuery, QueryParameters()]) -> Listing[Project]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    found = await caller.call(pb.ListProjectsRequest(page=page), pb.ListProjectsResponse)
    return listing([_project(record) for record in found.projects], found.next_cursor)


@routes.endpoint("POST", "/projects", "Create a project", role="admin", status=201)
async def create_project(caller: Authorized, body: CreateProject) -> Data[Project]:
    request = pb.CreateProjectRequest(
        name=body.name,
        logging_mode=body.logging_mode,
        default_max_tokens=body.default_max_tokens,
        experiment_spend_cap_nano=body.experiment_spend_cap_usd,
        judge_spend_cap_nano=body.judge_spend_cap_usd,
        experiment_sample_min=body.experiment_sample_min,
        experiment_sample_max=body.experiment_sample_max,
    )
    found = await caller.call(request, pb.CreateProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("GET", "/projects/{project_id}", "Show one project", role="viewer")
async def get_project(caller: Authorized, project_id: str) -> Data[Project]:
    found = await caller.call(pb.GetProjectRequest(id=project_id), pb.GetProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("PATCH", "/projects/{project_id}", "Change a project", role="admin")
async def update_project(caller: Authorized, project_id: str, body: UpdateProject) -> Data[Project]:
    request = pb.UpdateProjectRequest(
        id=project_id,
        name=body.name,
        logging_mode=body.logging_mode,
        default_max_tokens=body.default_max_tokens,
        experiment_spend_cap_nano=body.experiment_spend_cap_usd,
        judge_spend_cap_nano=body.judge_spend_cap_usd,
        experiment_sample_min=body.experiment_sample_min,
        experiment_sample_max=body.experiment_sample_max,
    )
    found = await caller.call(request, pb.UpdateProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("DELETE", "/projects/{project_id}", "Delete a project that nothing refers to any more", role="owner")
async def delete_project(caller: Authorized, project_id: str) -> Data[Deleted]:
    await caller.call(pb.DeleteProjectRequest(id=project_id), pb.DeleteProjectResponse)
    return Data(data=Deleted(id=project_id))


def _project(record: pb.ProjectRecord) -> Project:
    least, most = experiment_sample(record)
    return Project(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        logging_mode=cast(LoggingMode, record.logging_mode),
        default_max_tokens=record.default_max_tokens or None,
        experiment_spend_cap_usd=usd(experiment_spend_cap_nano(record)),
        judge_spend_cap_usd=usd(judge_spend_cap_nano(record)),
        experiment_sample_min=least,
        experiment_sample_max=most,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )
