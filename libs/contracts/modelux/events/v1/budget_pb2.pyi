from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class BudgetAlert(_message.Message):
    __slots__ = ("budget_id", "organization_id", "project_id", "budget_name", "value", "window_start_us", "window_end_us", "unit", "cap", "settled", "leased", "threshold_ppm", "at_us")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_US_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_PPM_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    organization_id: str
    project_id: str
    budget_name: str
    value: str
    window_start_us: int
    window_end_us: int
    unit: str
    cap: int
    settled: int
    leased: int
    threshold_ppm: int
    at_us: int
    def __init__(self, budget_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., budget_name: _Optional[str] = ..., value: _Optional[str] = ..., window_start_us: _Optional[int] = ..., window_end_us: _Optional[int] = ..., unit: _Optional[str] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., leased: _Optional[int] = ..., threshold_ppm: _Optional[int] = ..., at_us: _Optional[int] = ...) -> None: ...

class BudgetExceeded(_message.Message):
    __slots__ = ("budget_id", "organization_id", "project_id", "budget_name", "value", "window_start_us", "window_end_us", "unit", "cap", "settled", "leased", "needed", "action", "at_us")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_US_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    organization_id: str
    project_id: str
    budget_name: str
    value: str
    window_start_us: int
    window_end_us: int
    unit: str
    cap: int
    settled: int
    leased: int
    needed: int
    action: str
    at_us: int
    def __init__(self, budget_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., budget_name: _Optional[str] = ..., value: _Optional[str] = ..., window_start_us: _Optional[int] = ..., window_end_us: _Optional[int] = ..., unit: _Optional[str] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., leased: _Optional[int] = ..., needed: _Optional[int] = ..., action: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class RunAborted(_message.Message):
    __slots__ = ("budget_id", "organization_id", "project_id", "budget_name", "tag", "value", "limit", "cap", "settled", "started_at_us", "at_us")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_NAME_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    organization_id: str
    project_id: str
    budget_name: str
    tag: str
    value: str
    limit: str
    cap: int
    settled: int
    started_at_us: int
    at_us: int
    def __init__(self, budget_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., budget_name: _Optional[str] = ..., tag: _Optional[str] = ..., value: _Optional[str] = ..., limit: _Optional[str] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., started_at_us: _Optional[int] = ..., at_us: _Optional[int] = ...) -> None: ...

class RunLooping(_message.Message):
    __slots__ = ("organization_id", "project_id", "budget_id", "tag", "value", "calls", "request_id", "at_us")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    project_id: str
    budget_id: str
    tag: str
    value: str
    calls: int
    request_id: str
    at_us: int
    def __init__(self, organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., budget_id: _Optional[str] = ..., tag: _Optional[str] = ..., value: _Optional[str] = ..., calls: _Optional[int] = ..., request_id: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class PriceUnknown(_message.Message):
    __slots__ = ("organization_id", "project_id", "provider", "model", "charged_nano", "request_id", "at_us")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHARGED_NANO_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    project_id: str
    provider: str
    model: str
    charged_nano: int
    request_id: str
    at_us: int
    def __init__(self, organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., charged_nano: _Optional[int] = ..., request_id: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...
