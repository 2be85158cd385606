from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Usage(_message.Message):
    __slots__ = ("input", "output", "cache_read", "cache_write", "reasoning", "estimated", "cache_write_1h", "input_audio", "cache_audio_read", "input_image", "output_audio", "output_image", "web_searches")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    CACHE_AUDIO_READ_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCHES_FIELD_NUMBER: _ClassVar[int]
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    estimated: bool
    cache_write_1h: int
    input_audio: int
    cache_audio_read: int
    input_image: int
    output_audio: int
    output_image: int
    web_searches: int
    def __init__(self, input: _Optional[int] = ..., output: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write: _Optional[int] = ..., reasoning: _Optional[int] = ..., estimated: _Optional[bool] = ..., cache_write_1h: _Optional[int] = ..., input_audio: _Optional[int] = ..., cache_audio_read: _Optional[int] = ..., input_image: _Optional[int] = ..., output_audio: _Optional[int] = ..., output_image: _Optional[int] = ..., web_searches: _Optional[int] = ...) -> None: ...

class AttemptRecord(_message.Message):
    __slots__ = ("number", "model", "provider", "credential_id", "kind", "status", "error_code", "latency_us", "ttft_us", "usage", "cost_nano", "started_us", "price_version", "price_unknown", "charged_nano")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    TTFT_US_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_FIELD_NUMBER: _ClassVar[int]
    STARTED_US_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PRICE_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    CHARGED_NANO_FIELD_NUMBER: _ClassVar[int]
    number: int
    model: str
    provider: str
    credential_id: str
    kind: str
    status: int
    error_code: str
    latency_us: int
    ttft_us: int
    usage: Usage
    cost_nano: int
    started_us: int
    price_version: str
    price_unknown: bool
    charged_nano: int
    def __init__(self, number: _Optional[int] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., credential_id: _Optional[str] = ..., kind: _Optional[str] = ..., status: _Optional[int] = ..., error_code: _Optional[str] = ..., latency_us: _Optional[int] = ..., ttft_us: _Optional[int] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., cost_nano: _Optional[int] = ..., started_us: _Optional[int] = ..., price_version: _Optional[str] = ..., price_unknown: _Optional[bool] = ..., charged_nano: _Optional[int] = ...) -> None: ...

class Repeats(_message.Message):
    __slots__ = ("budget_id", "tag", "value", "calls")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    tag: str
    value: str
    calls: int
    def __init__(self, budget_id: _Optional[str] = ..., tag: _Optional[str] = ..., value: _Optional[str] = ..., calls: _Optional[int] = ...) -> None: ...

class RequestCompleted(_message.Message):
    __slots__ = ("request_id", "organization_id", "project_id", "key_id", "started_at_us", "endpoint", "requested_model", "config_slug", "config_version", "policy_type", "outcome", "status", "error_code", "model", "provider", "credential_id", "stream", "tags", "end_user_id", "usage", "cost_nano", "latency_us", "ttft_us", "overhead_us", "attempts", "trace_json", "request_body", "response_body", "logging_mode", "body_shed", "price_version", "response_id", "estimated_input_tokens", "max_tokens", "needs", "price_unknown", "charged_nano", "repeats", "source")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SLUG_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_TYPE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    END_USER_ID_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    TTFT_US_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_US_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    TRACE_JSON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BODY_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BODY_FIELD_NUMBER: _ClassVar[int]
    LOGGING_MODE_FIELD_NUMBER: _ClassVar[int]
    BODY_SHED_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    PRICE_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    CHARGED_NANO_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    started_at_us: int
    endpoint: str
    requested_model: str
    config_slug: str
    config_version: int
    policy_type: str
    outcome: str
    status: int
    error_code: str
    model: str
    provider: str
    credential_id: str
    stream: bool
    tags: _containers.ScalarMap[str, str]
    end_user_id: str
    usage: Usage
    cost_nano: int
    latency_us: int
    ttft_us: int
    overhead_us: int
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptRecord]
    trace_json: bytes
    request_body: bytes
    response_body: bytes
    logging_mode: str
    body_shed: bool
    price_version: str
    response_id: str
    estimated_input_tokens: int
    max_tokens: int
    needs: _containers.RepeatedScalarFieldContainer[str]
    price_unknown: bool
    charged_nano: int
    repeats: Repeats
    source: str
    def __init__(self, request_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., key_id: _Optional[str] = ..., started_at_us: _Optional[int] = ..., endpoint: _Optional[str] = ..., requested_model: _Optional[str] = ..., config_slug: _Optional[str] = ..., config_version: _Optional[int] = ..., policy_type: _Optional[str] = ..., outcome: _Optional[str] = ..., status: _Optional[int] = ..., error_code: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., credential_id: _Optional[str] = ..., stream: _Optional[bool] = ..., tags: _Optional[_Mapping[str, str]] = ..., end_user_id: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., cost_nano: _Optional[int] = ..., latency_us: _Optional[int] = ..., ttft_us: _Optional[int] = ..., overhead_us: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[AttemptRecord, _Mapping]]] = ..., trace_json: _Optional[bytes] = ..., request_body: _Optional[bytes] = ..., response_body: _Optional[bytes] = ..., logging_mode: _Optional[str] = ..., body_shed: _Optional[bool] = ..., price_version: _Optional[str] = ..., response_id: _Optional[str] = ..., estimated_input_tokens: _Optional[int] = ..., max_tokens: _Optional[int] = ..., needs: _Optional[_Iterable[str]] = ..., price_unknown: _Optional[bool] = ..., charged_nano: _Optional[int] = ..., repeats: _Optional[_Union[Repeats, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...
