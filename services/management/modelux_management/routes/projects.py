"""Projects: what requests, keys and routing configs belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Body, Data, Deleted, Listing, PageQuery, listing, moment

routes = Routes("projects")

LoggingMode = Literal["full", "metadata_only"]


class Project(BaseModel):
    """A project."""

    id: str
    organization_id: str
    name: str
    logging_mode: LoggingMode = Field(description="Whether request and response bodies are stored.")
    default_max_tokens: int | None = Field(
        description="Where a caller names no max_tokens; null: the model's own limit."
    )
    created_at: datetime
    updated_at: datetime


class CreateProject(Body):
    """A new project."""

    name: str
    logging_mode: LoggingMode = "full"
    default_max_tokens: int = Field(0, ge=0, le=10_000_000)


class UpdateProject(Body):
    """What to change; fields left out stay as they are."""

    name: str | None = None
    logging_mode: LoggingMode | None = None
    default_max_tokens: int | None = Field(None, ge=0, le=10_000_000)


@routes.endpoint("GET", "/projects", "List the projects", role="viewer")
async def list_projects(caller: Authorized, query: Annotated[PageQuery, QueryParameters()]) -> Listing[Project]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    found = await caller.call(pb.ListProjectsRequest(page=page), pb.ListProjectsResponse)
    return listing([_project(record) for record in found.projects], found.next_cursor)


@routes.endpoint("POST", "/projects", "Create a project", role="admin", status=201)
async def create_project(caller: Authorized, body: CreateProject) -> Data[Project]:
    request = pb.CreateProjectRequest(
        name=body.name, logging_mode=body.logging_mode, default_max_tokens=body.default_max_tokens
    )
    found = await caller.call(request, pb.CreateProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("GET", "/projects/{project_id}", "Show one project", role="viewer")
async def get_project(caller: Authorized, project_id: str) -> Data[Project]:
    found = await caller.call(pb.GetProjectRequest(id=project_id), pb.GetProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("PATCH", "/projects/{project_id}", "Rename a project or change its logging", role="admin")
async def update_project(caller: Authorized, project_id: str, body: UpdateProject) -> Data[Project]:
    request = pb.UpdateProjectRequest(
        id=project_id, name=body.name, logging_mode=body.logging_mode, default_max_tokens=body.default_max_tokens
    )
    found = await caller.call(request, pb.UpdateProjectResponse)
    return Data(data=_project(found.project))


@routes.endpoint("DELETE", "/projects/{project_id}", "Delete a project that nothing refers to any more", role="owner")
async def delete_project(caller: Authorized, project_id: str) -> Data[Deleted]:
    await caller.call(pb.DeleteProjectRequest(id=project_id), pb.DeleteProjectResponse)
    return Data(data=Deleted(id=project_id))


def _project(record: pb.ProjectRecord) -> Project:
    return Project(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        logging_mode=cast(LoggingMode, record.logging_mode),
        default_max_tokens=record.default_max_tokens or None,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )
