from modelux.replay.v1 import replay_pb2 as _replay_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RolloutSpec(_message.Message):
    __slots__ = ("experiment_id", "routing_config_id", "steps", "step_s", "step_requests", "guards_json")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_S_FIELD_NUMBER: _ClassVar[int]
    STEP_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    GUARDS_JSON_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    routing_config_id: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    step_s: int
    step_requests: int
    guards_json: bytes
    def __init__(self, experiment_id: _Optional[str] = ..., routing_config_id: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., step_s: _Optional[int] = ..., step_requests: _Optional[int] = ..., guards_json: _Optional[bytes] = ...) -> None: ...

class RolloutStep(_message.Message):
    __slots__ = ("at_us", "percent", "version", "reason", "requests")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    percent: int
    version: int
    reason: str
    requests: int
    def __init__(self, at_us: _Optional[int] = ..., percent: _Optional[int] = ..., version: _Optional[int] = ..., reason: _Optional[str] = ..., requests: _Optional[int] = ...) -> None: ...

class RolloutRecord(_message.Message):
    __slots__ = ("id", "organization_id", "project_id", "spec", "status", "status_reason", "percent", "history", "created_at_us", "updated_at_us", "created_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    project_id: str
    spec: RolloutSpec
    status: str
    status_reason: str
    percent: int
    history: _containers.RepeatedCompositeFieldContainer[RolloutStep]
    created_at_us: int
    updated_at_us: int
    created_by: str
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., spec: _Optional[_Union[RolloutSpec, _Mapping]] = ..., status: _Optional[str] = ..., status_reason: _Optional[str] = ..., percent: _Optional[int] = ..., history: _Optional[_Iterable[_Union[RolloutStep, _Mapping]]] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ..., created_by: _Optional[str] = ...) -> None: ...

class StartRolloutRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    spec: RolloutSpec
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., spec: _Optional[_Union[RolloutSpec, _Mapping]] = ...) -> None: ...

class StartRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: RolloutRecord
    def __init__(self, rollout: _Optional[_Union[RolloutRecord, _Mapping]] = ...) -> None: ...

class GetRolloutRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: RolloutRecord
    def __init__(self, rollout: _Optional[_Union[RolloutRecord, _Mapping]] = ...) -> None: ...

class ListRolloutsRequest(_message.Message):
    __slots__ = ("actor", "project_id", "limit", "cursor")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    project_id: str
    limit: int
    cursor: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListRolloutsResponse(_message.Message):
    __slots__ = ("rollouts", "next_cursor")
    ROLLOUTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    rollouts: _containers.RepeatedCompositeFieldContainer[RolloutRecord]
    next_cursor: str
    def __init__(self, rollouts: _Optional[_Iterable[_Union[RolloutRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CancelRolloutRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class CancelRolloutResponse(_message.Message):
    __slots__ = ("rollout",)
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    rollout: RolloutRecord
    def __init__(self, rollout: _Optional[_Union[RolloutRecord, _Mapping]] = ...) -> None: ...
