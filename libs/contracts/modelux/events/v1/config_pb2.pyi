from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ConfigChanged(_message.Message):
    __slots__ = ("organization_id", "project_id", "entity", "entity_id", "action", "actor", "at_us", "snapshot_version", "slug", "version", "previous_version")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    project_id: str
    entity: str
    entity_id: str
    action: str
    actor: str
    at_us: int
    snapshot_version: int
    slug: str
    version: int
    previous_version: int
    def __init__(self, organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., entity: _Optional[str] = ..., entity_id: _Optional[str] = ..., action: _Optional[str] = ..., actor: _Optional[str] = ..., at_us: _Optional[int] = ..., snapshot_version: _Optional[int] = ..., slug: _Optional[str] = ..., version: _Optional[int] = ..., previous_version: _Optional[int] = ...) -> None: ...
