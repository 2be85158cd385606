from modelux.replay.v1 import replay_pb2 as _replay_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScheduleSpec(_message.Message):
    __slots__ = ("project_id", "name", "cron", "time_zone", "window_s", "experiment", "criteria_json", "paused", "alarm_window", "alarm_needed", "judge_model", "judge_rubric", "judge_spend_cap_nano")
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_JSON_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    ALARM_WINDOW_FIELD_NUMBER: _ClassVar[int]
    ALARM_NEEDED_FIELD_NUMBER: _ClassVar[int]
    JUDGE_MODEL_FIELD_NUMBER: _ClassVar[int]
    JUDGE_RUBRIC_FIELD_NUMBER: _ClassVar[int]
    JUDGE_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    project_id: str
    name: str
    cron: str
    time_zone: str
    window_s: int
    experiment: _replay_pb2.ExperimentSpec
    criteria_json: bytes
    paused: bool
    alarm_window: int
    alarm_needed: int
    judge_model: str
    judge_rubric: str
    judge_spend_cap_nano: int
    def __init__(self, project_id: _Optional[str] = ..., name: _Optional[str] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., window_s: _Optional[int] = ..., experiment: _Optional[_Union[_replay_pb2.ExperimentSpec, _Mapping]] = ..., criteria_json: _Optional[bytes] = ..., paused: _Optional[bool] = ..., alarm_window: _Optional[int] = ..., alarm_needed: _Optional[int] = ..., judge_model: _Optional[str] = ..., judge_rubric: _Optional[str] = ..., judge_spend_cap_nano: _Optional[int] = ...) -> None: ...

class ScheduleRecord(_message.Message):
    __slots__ = ("id", "organization_id", "spec", "created_at_us", "updated_at_us", "created_by", "next_at_us", "last_at_us", "last_experiment_id", "last_verdict", "last_error", "runs")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_US_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_US_FIELD_NUMBER: _ClassVar[int]
    LAST_EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_VERDICT_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    spec: ScheduleSpec
    created_at_us: int
    updated_at_us: int
    created_by: str
    next_at_us: int
    last_at_us: int
    last_experiment_id: str
    last_verdict: str
    last_error: str
    runs: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping]] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ..., created_by: _Optional[str] = ..., next_at_us: _Optional[int] = ..., last_at_us: _Optional[int] = ..., last_experiment_id: _Optional[str] = ..., last_verdict: _Optional[str] = ..., last_error: _Optional[str] = ..., runs: _Optional[int] = ...) -> None: ...

class CreateScheduleRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    spec: ScheduleSpec
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping]] = ...) -> None: ...

class CreateScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: ScheduleRecord
    def __init__(self, schedule: _Optional[_Union[ScheduleRecord, _Mapping]] = ...) -> None: ...

class GetScheduleRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: ScheduleRecord
    def __init__(self, schedule: _Optional[_Union[ScheduleRecord, _Mapping]] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
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

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules", "next_cursor")
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[ScheduleRecord]
    next_cursor: str
    def __init__(self, schedules: _Optional[_Iterable[_Union[ScheduleRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class UpdateScheduleRequest(_message.Message):
    __slots__ = ("actor", "id", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    spec: ScheduleSpec
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ..., spec: _Optional[_Union[ScheduleSpec, _Mapping]] = ...) -> None: ...

class UpdateScheduleResponse(_message.Message):
    __slots__ = ("schedule",)
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    schedule: ScheduleRecord
    def __init__(self, schedule: _Optional[_Union[ScheduleRecord, _Mapping]] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FireScheduleRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class FireScheduleResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: _replay_pb2.ExperimentRecord
    def __init__(self, experiment: _Optional[_Union[_replay_pb2.ExperimentRecord, _Mapping]] = ...) -> None: ...
