from modelux.replay.v1 import replay_pb2 as _replay_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stratification(_message.Message):
    __slots__ = ("high", "mild", "major", "allocation", "high_from", "mild_from")
    HIGH_FIELD_NUMBER: _ClassVar[int]
    MILD_FIELD_NUMBER: _ClassVar[int]
    MAJOR_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    HIGH_FROM_FIELD_NUMBER: _ClassVar[int]
    MILD_FROM_FIELD_NUMBER: _ClassVar[int]
    high: int
    mild: int
    major: int
    allocation: str
    high_from: float
    mild_from: float
    def __init__(self, high: _Optional[int] = ..., mild: _Optional[int] = ..., major: _Optional[int] = ..., allocation: _Optional[str] = ..., high_from: _Optional[float] = ..., mild_from: _Optional[float] = ...) -> None: ...

class StopWhenDecided(_message.Message):
    __slots__ = ("worse_pct",)
    WORSE_PCT_FIELD_NUMBER: _ClassVar[int]
    worse_pct: float
    def __init__(self, worse_pct: _Optional[float] = ...) -> None: ...

class JudgeSpec(_message.Message):
    __slots__ = ("experiment_id", "judge_model", "rubric", "stratification", "spend_cap_nano", "orders", "stop_when_decided")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    JUDGE_MODEL_FIELD_NUMBER: _ClassVar[int]
    RUBRIC_FIELD_NUMBER: _ClassVar[int]
    STRATIFICATION_FIELD_NUMBER: _ClassVar[int]
    SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    STOP_WHEN_DECIDED_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    judge_model: str
    rubric: str
    stratification: Stratification
    spend_cap_nano: int
    orders: str
    stop_when_decided: StopWhenDecided
    def __init__(self, experiment_id: _Optional[str] = ..., judge_model: _Optional[str] = ..., rubric: _Optional[str] = ..., stratification: _Optional[_Union[Stratification, _Mapping]] = ..., spend_cap_nano: _Optional[int] = ..., orders: _Optional[str] = ..., stop_when_decided: _Optional[_Union[StopWhenDecided, _Mapping]] = ...) -> None: ...

class JudgeRecord(_message.Message):
    __slots__ = ("id", "organization_id", "project_id", "spec", "rubric_hash", "status", "status_reason", "pairs_total", "pairs_done", "created_at_us", "started_at_us", "finished_at_us", "created_by", "budget_id", "spent_nano", "summary_json")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    RUBRIC_HASH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    PAIRS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    PAIRS_DONE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    SPENT_NANO_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    project_id: str
    spec: JudgeSpec
    rubric_hash: str
    status: str
    status_reason: str
    pairs_total: int
    pairs_done: int
    created_at_us: int
    started_at_us: int
    finished_at_us: int
    created_by: str
    budget_id: str
    spent_nano: int
    summary_json: bytes
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., spec: _Optional[_Union[JudgeSpec, _Mapping]] = ..., rubric_hash: _Optional[str] = ..., status: _Optional[str] = ..., status_reason: _Optional[str] = ..., pairs_total: _Optional[int] = ..., pairs_done: _Optional[int] = ..., created_at_us: _Optional[int] = ..., started_at_us: _Optional[int] = ..., finished_at_us: _Optional[int] = ..., created_by: _Optional[str] = ..., budget_id: _Optional[str] = ..., spent_nano: _Optional[int] = ..., summary_json: _Optional[bytes] = ...) -> None: ...

class PreflightRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    spec: JudgeSpec
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., spec: _Optional[_Union[JudgeSpec, _Mapping]] = ...) -> None: ...

class PreflightResponse(_message.Message):
    __slots__ = ("effective_pair_count", "effective_high", "effective_mild", "effective_major", "estimated_cost_nano", "per_call_nano", "spend_cap_nano", "suggested_spend_cap_nano", "requires_confirmation", "notes", "rubric", "rubric_hash")
    EFFECTIVE_PAIR_COUNT_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_HIGH_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_MILD_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_MAJOR_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COST_NANO_FIELD_NUMBER: _ClassVar[int]
    PER_CALL_NANO_FIELD_NUMBER: _ClassVar[int]
    SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    RUBRIC_FIELD_NUMBER: _ClassVar[int]
    RUBRIC_HASH_FIELD_NUMBER: _ClassVar[int]
    effective_pair_count: int
    effective_high: int
    effective_mild: int
    effective_major: int
    estimated_cost_nano: int
    per_call_nano: int
    spend_cap_nano: int
    suggested_spend_cap_nano: int
    requires_confirmation: bool
    notes: _containers.RepeatedScalarFieldContainer[str]
    rubric: str
    rubric_hash: str
    def __init__(self, effective_pair_count: _Optional[int] = ..., effective_high: _Optional[int] = ..., effective_mild: _Optional[int] = ..., effective_major: _Optional[int] = ..., estimated_cost_nano: _Optional[int] = ..., per_call_nano: _Optional[int] = ..., spend_cap_nano: _Optional[int] = ..., suggested_spend_cap_nano: _Optional[int] = ..., requires_confirmation: _Optional[bool] = ..., notes: _Optional[_Iterable[str]] = ..., rubric: _Optional[str] = ..., rubric_hash: _Optional[str] = ...) -> None: ...

class CreateRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    spec: JudgeSpec
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., spec: _Optional[_Union[JudgeSpec, _Mapping]] = ...) -> None: ...

class CreateResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: JudgeRecord
    def __init__(self, run: _Optional[_Union[JudgeRecord, _Mapping]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: JudgeRecord
    def __init__(self, run: _Optional[_Union[JudgeRecord, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "limit", "cursor")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    limit: int
    cursor: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("runs", "next_cursor")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[JudgeRecord]
    next_cursor: str
    def __init__(self, runs: _Optional[_Iterable[_Union[JudgeRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class CancelResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: JudgeRecord
    def __init__(self, run: _Optional[_Union[JudgeRecord, _Mapping]] = ...) -> None: ...

class LabelTask(_message.Message):
    __slots__ = ("row", "prompt", "first", "second", "token")
    ROW_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    row: int
    prompt: str
    first: str
    second: str
    token: str
    def __init__(self, row: _Optional[int] = ..., prompt: _Optional[str] = ..., first: _Optional[str] = ..., second: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class NextLabelsRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "id", "limit")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    id: str
    limit: int
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., id: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class NextLabelsResponse(_message.Message):
    __slots__ = ("tasks", "labelled", "wanted")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[LabelTask]
    labelled: int
    wanted: int
    def __init__(self, tasks: _Optional[_Iterable[_Union[LabelTask, _Mapping]]] = ..., labelled: _Optional[int] = ..., wanted: _Optional[int] = ...) -> None: ...

class AddLabelRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "id", "token", "verdict", "note", "labeller")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    LABELLER_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    id: str
    token: str
    verdict: str
    note: str
    labeller: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., id: _Optional[str] = ..., token: _Optional[str] = ..., verdict: _Optional[str] = ..., note: _Optional[str] = ..., labeller: _Optional[str] = ...) -> None: ...

class AddLabelResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: JudgeRecord
    def __init__(self, run: _Optional[_Union[JudgeRecord, _Mapping]] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("actor", "experiment_id", "id", "other_id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OTHER_ID_FIELD_NUMBER: _ClassVar[int]
    actor: _replay_pb2.Actor
    experiment_id: str
    id: str
    other_id: str
    def __init__(self, actor: _Optional[_Union[_replay_pb2.Actor, _Mapping]] = ..., experiment_id: _Optional[str] = ..., id: _Optional[str] = ..., other_id: _Optional[str] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("pairs", "agreed", "kappa", "kappa_lower", "kappa_upper")
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    KAPPA_FIELD_NUMBER: _ClassVar[int]
    KAPPA_LOWER_FIELD_NUMBER: _ClassVar[int]
    KAPPA_UPPER_FIELD_NUMBER: _ClassVar[int]
    pairs: int
    agreed: int
    kappa: float
    kappa_lower: float
    kappa_upper: float
    def __init__(self, pairs: _Optional[int] = ..., agreed: _Optional[int] = ..., kappa: _Optional[float] = ..., kappa_lower: _Optional[float] = ..., kappa_upper: _Optional[float] = ...) -> None: ...
