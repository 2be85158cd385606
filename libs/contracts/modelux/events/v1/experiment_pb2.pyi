from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ExperimentCommand(_message.Message):
    __slots__ = ("experiment_id", "kind")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    kind: str
    def __init__(self, experiment_id: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ExperimentResults(_message.Message):
    __slots__ = ("experiment_id", "organization_id", "project_id", "unit", "part", "rows", "arrow")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ARROW_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    organization_id: str
    project_id: str
    unit: int
    part: int
    rows: int
    arrow: bytes
    def __init__(self, experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., unit: _Optional[int] = ..., part: _Optional[int] = ..., rows: _Optional[int] = ..., arrow: _Optional[bytes] = ...) -> None: ...

class ExperimentCompleted(_message.Message):
    __slots__ = ("experiment_id", "organization_id", "project_id", "name", "status", "reason", "rows", "at_us", "cost_delta_percent", "latency_p50_delta_percent", "latency_p95_delta_percent", "error_rate_delta_points", "coverage", "cost_weighted_coverage", "sentence")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    COST_DELTA_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P50_DELTA_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_DELTA_PERCENT_FIELD_NUMBER: _ClassVar[int]
    ERROR_RATE_DELTA_POINTS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    COST_WEIGHTED_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    organization_id: str
    project_id: str
    name: str
    status: str
    reason: str
    rows: int
    at_us: int
    cost_delta_percent: float
    latency_p50_delta_percent: float
    latency_p95_delta_percent: float
    error_rate_delta_points: float
    coverage: float
    cost_weighted_coverage: float
    sentence: str
    def __init__(self, experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ..., at_us: _Optional[int] = ..., cost_delta_percent: _Optional[float] = ..., latency_p50_delta_percent: _Optional[float] = ..., latency_p95_delta_percent: _Optional[float] = ..., error_rate_delta_points: _Optional[float] = ..., coverage: _Optional[float] = ..., cost_weighted_coverage: _Optional[float] = ..., sentence: _Optional[str] = ...) -> None: ...
