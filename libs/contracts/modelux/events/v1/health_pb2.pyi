from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ProviderHealthChanged(_message.Message):
    __slots__ = ("model", "provider", "credential_id", "state", "error_rate", "p50_ms", "ttft_p50_ms", "samples", "window_start_us", "window_end_us")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_RATE_FIELD_NUMBER: _ClassVar[int]
    P50_MS_FIELD_NUMBER: _ClassVar[int]
    TTFT_P50_MS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_US_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    credential_id: str
    state: str
    error_rate: float
    p50_ms: float
    ttft_p50_ms: float
    samples: int
    window_start_us: int
    window_end_us: int
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., credential_id: _Optional[str] = ..., state: _Optional[str] = ..., error_rate: _Optional[float] = ..., p50_ms: _Optional[float] = ..., ttft_p50_ms: _Optional[float] = ..., samples: _Optional[int] = ..., window_start_us: _Optional[int] = ..., window_end_us: _Optional[int] = ...) -> None: ...
