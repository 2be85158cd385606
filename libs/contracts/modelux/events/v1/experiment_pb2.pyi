from modelux.events.v1 import request_pb2 as _request_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

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
    __slots__ = ("experiment_id", "organization_id", "project_id", "name", "status", "reason", "rows", "at_us", "cost_delta_percent", "latency_p50_delta_percent", "latency_p95_delta_percent", "error_rate_delta_points", "coverage", "cost_weighted_coverage", "sentence", "verdict", "schedule_id")
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
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
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
    verdict: str
    schedule_id: str
    def __init__(self, experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., rows: _Optional[int] = ..., at_us: _Optional[int] = ..., cost_delta_percent: _Optional[float] = ..., latency_p50_delta_percent: _Optional[float] = ..., latency_p95_delta_percent: _Optional[float] = ..., error_rate_delta_points: _Optional[float] = ..., coverage: _Optional[float] = ..., cost_weighted_coverage: _Optional[float] = ..., sentence: _Optional[str] = ..., verdict: _Optional[str] = ..., schedule_id: _Optional[str] = ...) -> None: ...

class ExperimentRegressionDetected(_message.Message):
    __slots__ = ("schedule_id", "experiment_id", "organization_id", "project_id", "name", "at_us", "sentence", "verdict_json")
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_JSON_FIELD_NUMBER: _ClassVar[int]
    schedule_id: str
    experiment_id: str
    organization_id: str
    project_id: str
    name: str
    at_us: int
    sentence: str
    verdict_json: bytes
    def __init__(self, schedule_id: _Optional[str] = ..., experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., at_us: _Optional[int] = ..., sentence: _Optional[str] = ..., verdict_json: _Optional[bytes] = ...) -> None: ...

class RolloutChanged(_message.Message):
    __slots__ = ("rollout_id", "experiment_id", "organization_id", "project_id", "routing_config_id", "status", "percent", "reason", "at_us")
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    rollout_id: str
    experiment_id: str
    organization_id: str
    project_id: str
    routing_config_id: str
    status: str
    percent: int
    reason: str
    at_us: int
    def __init__(self, rollout_id: _Optional[str] = ..., experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., routing_config_id: _Optional[str] = ..., status: _Optional[str] = ..., percent: _Optional[int] = ..., reason: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class SampledRow(_message.Message):
    __slots__ = ("row", "request_id", "started_at_us", "side", "model", "provider", "credential_id")
    ROW_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    row: int
    request_id: str
    started_at_us: int
    side: str
    model: str
    provider: str
    credential_id: str
    def __init__(self, row: _Optional[int] = ..., request_id: _Optional[str] = ..., started_at_us: _Optional[int] = ..., side: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., credential_id: _Optional[str] = ...) -> None: ...

class ExperimentSamples(_message.Message):
    __slots__ = ("experiment_id", "organization_id", "project_id", "unit", "budget_id", "cap_nano", "deadline_us", "candidate_json", "candidate_slug", "candidate_version", "rows")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_US_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_JSON_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_SLUG_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    organization_id: str
    project_id: str
    unit: int
    budget_id: str
    cap_nano: int
    deadline_us: int
    candidate_json: bytes
    candidate_slug: str
    candidate_version: int
    rows: _containers.RepeatedCompositeFieldContainer[SampledRow]
    def __init__(self, experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., unit: _Optional[int] = ..., budget_id: _Optional[str] = ..., cap_nano: _Optional[int] = ..., deadline_us: _Optional[int] = ..., candidate_json: _Optional[bytes] = ..., candidate_slug: _Optional[str] = ..., candidate_version: _Optional[int] = ..., rows: _Optional[_Iterable[_Union[SampledRow, _Mapping]]] = ...) -> None: ...

class ExperimentPair(_message.Message):
    __slots__ = ("experiment_id", "organization_id", "project_id", "row", "side", "request_id", "call_id", "outcome", "error_code", "status", "model", "provider", "credential_id", "usage", "cost_nano", "charged_nano", "latency_us", "ttft_us", "attempts", "trace_json", "logged_answer", "answer")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_FIELD_NUMBER: _ClassVar[int]
    CHARGED_NANO_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    TTFT_US_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    TRACE_JSON_FIELD_NUMBER: _ClassVar[int]
    LOGGED_ANSWER_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    organization_id: str
    project_id: str
    row: int
    side: str
    request_id: str
    call_id: str
    outcome: str
    error_code: str
    status: int
    model: str
    provider: str
    credential_id: str
    usage: _request_pb2.Usage
    cost_nano: int
    charged_nano: int
    latency_us: int
    ttft_us: int
    attempts: int
    trace_json: bytes
    logged_answer: str
    answer: str
    def __init__(self, experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., row: _Optional[int] = ..., side: _Optional[str] = ..., request_id: _Optional[str] = ..., call_id: _Optional[str] = ..., outcome: _Optional[str] = ..., error_code: _Optional[str] = ..., status: _Optional[int] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., credential_id: _Optional[str] = ..., usage: _Optional[_Union[_request_pb2.Usage, _Mapping]] = ..., cost_nano: _Optional[int] = ..., charged_nano: _Optional[int] = ..., latency_us: _Optional[int] = ..., ttft_us: _Optional[int] = ..., attempts: _Optional[int] = ..., trace_json: _Optional[bytes] = ..., logged_answer: _Optional[str] = ..., answer: _Optional[str] = ...) -> None: ...

class ExperimentScore(_message.Message):
    __slots__ = ("pair", "similarity", "embedder")
    PAIR_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    pair: ExperimentPair
    similarity: float
    embedder: str
    def __init__(self, pair: _Optional[_Union[ExperimentPair, _Mapping]] = ..., similarity: _Optional[float] = ..., embedder: _Optional[str] = ...) -> None: ...
