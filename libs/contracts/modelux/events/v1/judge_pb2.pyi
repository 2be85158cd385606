from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class JudgeCommand(_message.Message):
    __slots__ = ("judge_run_id", "kind")
    JUDGE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    judge_run_id: str
    kind: str
    def __init__(self, judge_run_id: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class JudgeVerdict(_message.Message):
    __slots__ = ("judge_run_id", "experiment_id", "organization_id", "project_id", "row", "request_id", "candidate_request_id", "bucket", "similarity", "order", "verdict", "reason", "call_id", "cost_nano", "at_us", "error")
    JUDGE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    judge_run_id: str
    experiment_id: str
    organization_id: str
    project_id: str
    row: int
    request_id: str
    candidate_request_id: str
    bucket: str
    similarity: float
    order: str
    verdict: str
    reason: str
    call_id: str
    cost_nano: int
    at_us: int
    error: str
    def __init__(self, judge_run_id: _Optional[str] = ..., experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., row: _Optional[int] = ..., request_id: _Optional[str] = ..., candidate_request_id: _Optional[str] = ..., bucket: _Optional[str] = ..., similarity: _Optional[float] = ..., order: _Optional[str] = ..., verdict: _Optional[str] = ..., reason: _Optional[str] = ..., call_id: _Optional[str] = ..., cost_nano: _Optional[int] = ..., at_us: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class JudgeCompleted(_message.Message):
    __slots__ = ("judge_run_id", "experiment_id", "organization_id", "project_id", "status", "reason", "judged", "parse_errors", "spent_nano", "at_us", "worse", "worse_lower", "worse_upper")
    JUDGE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    PARSE_ERRORS_FIELD_NUMBER: _ClassVar[int]
    SPENT_NANO_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    WORSE_FIELD_NUMBER: _ClassVar[int]
    WORSE_LOWER_FIELD_NUMBER: _ClassVar[int]
    WORSE_UPPER_FIELD_NUMBER: _ClassVar[int]
    judge_run_id: str
    experiment_id: str
    organization_id: str
    project_id: str
    status: str
    reason: str
    judged: int
    parse_errors: int
    spent_nano: int
    at_us: int
    worse: float
    worse_lower: float
    worse_upper: float
    def __init__(self, judge_run_id: _Optional[str] = ..., experiment_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., judged: _Optional[int] = ..., parse_errors: _Optional[int] = ..., spent_nano: _Optional[int] = ..., at_us: _Optional[int] = ..., worse: _Optional[float] = ..., worse_lower: _Optional[float] = ..., worse_upper: _Optional[float] = ...) -> None: ...
