from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Project(_message.Message):
    __slots__ = ("id", "organization_id", "name", "logging_mode", "default_max_tokens", "experiment_spend_cap_nano", "judge_spend_cap_nano", "experiment_sample_min", "experiment_sample_max")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOGGING_MODE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    JUDGE_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MIN_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MAX_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    name: str
    logging_mode: str
    default_max_tokens: int
    experiment_spend_cap_nano: int
    judge_spend_cap_nano: int
    experiment_sample_min: int
    experiment_sample_max: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., name: _Optional[str] = ..., logging_mode: _Optional[str] = ..., default_max_tokens: _Optional[int] = ..., experiment_spend_cap_nano: _Optional[int] = ..., judge_spend_cap_nano: _Optional[int] = ..., experiment_sample_min: _Optional[int] = ..., experiment_sample_max: _Optional[int] = ...) -> None: ...

class ProxyKey(_message.Message):
    __slots__ = ("id", "project_id", "hash", "expires_at_us", "requests_per_minute", "tokens_per_minute", "allowed_models", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    project_id: str
    hash: bytes
    expires_at_us: int
    requests_per_minute: int
    tokens_per_minute: int
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    name: str
    def __init__(self, id: _Optional[str] = ..., project_id: _Optional[str] = ..., hash: _Optional[bytes] = ..., expires_at_us: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., allowed_models: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("id", "organization_id", "provider", "base_url", "sealed_secret", "models", "name", "allow_private", "project_ids")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    SEALED_SECRET_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    provider: str
    base_url: str
    sealed_secret: bytes
    models: _containers.RepeatedScalarFieldContainer[str]
    name: str
    allow_private: bool
    project_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., provider: _Optional[str] = ..., base_url: _Optional[str] = ..., sealed_secret: _Optional[bytes] = ..., models: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., allow_private: _Optional[bool] = ..., project_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RoutingConfig(_message.Message):
    __slots__ = ("id", "project_id", "slug", "active_version", "versions", "archived")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    id: str
    project_id: str
    slug: str
    active_version: int
    versions: _containers.RepeatedCompositeFieldContainer[RoutingConfigVersion]
    archived: bool
    def __init__(self, id: _Optional[str] = ..., project_id: _Optional[str] = ..., slug: _Optional[str] = ..., active_version: _Optional[int] = ..., versions: _Optional[_Iterable[_Union[RoutingConfigVersion, _Mapping]]] = ..., archived: _Optional[bool] = ...) -> None: ...

class RoutingConfigVersion(_message.Message):
    __slots__ = ("version", "policy_json")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    version: int
    policy_json: bytes
    def __init__(self, version: _Optional[int] = ..., policy_json: _Optional[bytes] = ...) -> None: ...

class PriceOverride(_message.Message):
    __slots__ = ("id", "organization_id", "provider", "model", "input", "output", "cache_read", "cache_write", "effective_from_us", "cache_write_1h", "input_audio", "cache_audio_read", "input_image", "output_audio", "output_image", "web_search", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FROM_US_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    CACHE_AUDIO_READ_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    provider: str
    model: str
    input: int
    output: int
    cache_read: int
    cache_write: int
    effective_from_us: int
    cache_write_1h: int
    input_audio: int
    cache_audio_read: int
    input_image: int
    output_audio: int
    output_image: int
    web_search: int
    request: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., input: _Optional[int] = ..., output: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write: _Optional[int] = ..., effective_from_us: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., input_audio: _Optional[int] = ..., cache_audio_read: _Optional[int] = ..., input_image: _Optional[int] = ..., output_audio: _Optional[int] = ..., output_image: _Optional[int] = ..., web_search: _Optional[int] = ..., request: _Optional[int] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("id", "organization_id", "project_id", "name", "scope", "scope_key", "each", "cap_nano", "max_calls", "max_duration_s", "action", "downgrade_to", "downgrade_at_ppm", "loop_calls")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_KEY_FIELD_NUMBER: _ClassVar[int]
    EACH_FIELD_NUMBER: _ClassVar[int]
    CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_S_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_TO_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_AT_PPM_FIELD_NUMBER: _ClassVar[int]
    LOOP_CALLS_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    project_id: str
    name: str
    scope: str
    scope_key: str
    each: bool
    cap_nano: int
    max_calls: int
    max_duration_s: int
    action: str
    downgrade_to: str
    downgrade_at_ppm: int
    loop_calls: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., scope: _Optional[str] = ..., scope_key: _Optional[str] = ..., each: _Optional[bool] = ..., cap_nano: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_duration_s: _Optional[int] = ..., action: _Optional[str] = ..., downgrade_to: _Optional[str] = ..., downgrade_at_ppm: _Optional[int] = ..., loop_calls: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("version", "projects", "keys", "credentials", "routing_configs", "prices", "budgets")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    version: int
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    keys: _containers.RepeatedCompositeFieldContainer[ProxyKey]
    credentials: _containers.RepeatedCompositeFieldContainer[Credential]
    routing_configs: _containers.RepeatedCompositeFieldContainer[RoutingConfig]
    prices: _containers.RepeatedCompositeFieldContainer[PriceOverride]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, version: _Optional[int] = ..., projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[ProxyKey, _Mapping]]] = ..., credentials: _Optional[_Iterable[_Union[Credential, _Mapping]]] = ..., routing_configs: _Optional[_Iterable[_Union[RoutingConfig, _Mapping]]] = ..., prices: _Optional[_Iterable[_Union[PriceOverride, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("version", "projects", "keys", "credentials", "routing_configs", "prices", "deleted_ids", "budgets")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    DELETED_IDS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    version: int
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    keys: _containers.RepeatedCompositeFieldContainer[ProxyKey]
    credentials: _containers.RepeatedCompositeFieldContainer[Credential]
    routing_configs: _containers.RepeatedCompositeFieldContainer[RoutingConfig]
    prices: _containers.RepeatedCompositeFieldContainer[PriceOverride]
    deleted_ids: _containers.RepeatedScalarFieldContainer[str]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, version: _Optional[int] = ..., projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[ProxyKey, _Mapping]]] = ..., credentials: _Optional[_Iterable[_Union[Credential, _Mapping]]] = ..., routing_configs: _Optional[_Iterable[_Union[RoutingConfig, _Mapping]]] = ..., prices: _Optional[_Iterable[_Union[PriceOverride, _Mapping]]] = ..., deleted_ids: _Optional[_Iterable[str]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class WatchSnapshotRequest(_message.Message):
    __slots__ = ("since_version", "proxy_id")
    SINCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROXY_ID_FIELD_NUMBER: _ClassVar[int]
    since_version: int
    proxy_id: str
    def __init__(self, since_version: _Optional[int] = ..., proxy_id: _Optional[str] = ...) -> None: ...

class WatchSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "change")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    change: Change
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...
