from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Actor(_message.Message):
    __slots__ = ("key_hash", "request_id", "idempotency_key", "schedule_id", "organization_id")
    KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    key_hash: bytes
    request_id: str
    idempotency_key: str
    schedule_id: str
    organization_id: str
    def __init__(self, key_hash: _Optional[bytes] = ..., request_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., schedule_id: _Optional[str] = ..., organization_id: _Optional[str] = ...) -> None: ...

class FieldProblem(_message.Message):
    __slots__ = ("field", "message", "hint")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    field: str
    message: str
    hint: str
    def __init__(self, field: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class PolicyWarning(_message.Message):
    __slots__ = ("field", "message", "hint", "code")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    field: str
    message: str
    hint: str
    code: str
    def __init__(self, field: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ProblemDetail(_message.Message):
    __slots__ = ("status", "code", "title", "detail", "hint", "errors")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    status: int
    code: str
    title: str
    detail: str
    hint: str
    errors: _containers.RepeatedCompositeFieldContainer[FieldProblem]
    def __init__(self, status: _Optional[int] = ..., code: _Optional[str] = ..., title: _Optional[str] = ..., detail: _Optional[str] = ..., hint: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[FieldProblem, _Mapping]]] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("limit", "cursor")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    limit: int
    cursor: str
    def __init__(self, limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class ProjectRecord(_message.Message):
    __slots__ = ("id", "organization_id", "name", "logging_mode", "default_max_tokens", "created_at_us", "updated_at_us", "experiment_spend_cap_nano", "judge_spend_cap_nano", "experiment_sample_min", "experiment_sample_max")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOGGING_MODE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    JUDGE_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MIN_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MAX_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    name: str
    logging_mode: str
    default_max_tokens: int
    created_at_us: int
    updated_at_us: int
    experiment_spend_cap_nano: int
    judge_spend_cap_nano: int
    experiment_sample_min: int
    experiment_sample_max: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., name: _Optional[str] = ..., logging_mode: _Optional[str] = ..., default_max_tokens: _Optional[int] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ..., experiment_spend_cap_nano: _Optional[int] = ..., judge_spend_cap_nano: _Optional[int] = ..., experiment_sample_min: _Optional[int] = ..., experiment_sample_max: _Optional[int] = ...) -> None: ...

class CredentialRecord(_message.Message):
    __slots__ = ("id", "organization_id", "name", "provider", "base_url", "models", "project_ids", "allow_private", "secret_hint", "created_at_us", "updated_at_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    SECRET_HINT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    name: str
    provider: str
    base_url: str
    models: _containers.RepeatedScalarFieldContainer[str]
    project_ids: _containers.RepeatedScalarFieldContainer[str]
    allow_private: bool
    secret_hint: str
    created_at_us: int
    updated_at_us: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., name: _Optional[str] = ..., provider: _Optional[str] = ..., base_url: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., project_ids: _Optional[_Iterable[str]] = ..., allow_private: _Optional[bool] = ..., secret_hint: _Optional[str] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ...) -> None: ...

class ProxyKeyRecord(_message.Message):
    __slots__ = ("id", "project_id", "name", "prefix", "expires_at_us", "requests_per_minute", "tokens_per_minute", "allowed_models", "created_at_us", "revoked_at_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    project_id: str
    name: str
    prefix: str
    expires_at_us: int
    requests_per_minute: int
    tokens_per_minute: int
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    created_at_us: int
    revoked_at_us: int
    def __init__(self, id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., prefix: _Optional[str] = ..., expires_at_us: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., allowed_models: _Optional[_Iterable[str]] = ..., created_at_us: _Optional[int] = ..., revoked_at_us: _Optional[int] = ...) -> None: ...

class ManagementKeyRecord(_message.Message):
    __slots__ = ("id", "organization_id", "name", "prefix", "role", "expires_at_us", "created_at_us", "revoked_at_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    name: str
    prefix: str
    role: str
    expires_at_us: int
    created_at_us: int
    revoked_at_us: int
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., name: _Optional[str] = ..., prefix: _Optional[str] = ..., role: _Optional[str] = ..., expires_at_us: _Optional[int] = ..., created_at_us: _Optional[int] = ..., revoked_at_us: _Optional[int] = ...) -> None: ...

class RoutingConfigRecord(_message.Message):
    __slots__ = ("id", "project_id", "slug", "description", "active_version", "latest_version", "archived", "revision", "policy_json", "policy_type", "created_at_us", "updated_at_us")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    POLICY_TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    id: str
    project_id: str
    slug: str
    description: str
    active_version: int
    latest_version: int
    archived: bool
    revision: int
    policy_json: bytes
    policy_type: str
    created_at_us: int
    updated_at_us: int
    def __init__(self, id: _Optional[str] = ..., project_id: _Optional[str] = ..., slug: _Optional[str] = ..., description: _Optional[str] = ..., active_version: _Optional[int] = ..., latest_version: _Optional[int] = ..., archived: _Optional[bool] = ..., revision: _Optional[int] = ..., policy_json: _Optional[bytes] = ..., policy_type: _Optional[str] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ...) -> None: ...

class VersionRecord(_message.Message):
    __slots__ = ("routing_config_id", "version", "policy_json", "policy_type", "note", "created_by", "created_at_us", "active")
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    POLICY_TYPE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    routing_config_id: str
    version: int
    policy_json: bytes
    policy_type: str
    note: str
    created_by: str
    created_at_us: int
    active: bool
    def __init__(self, routing_config_id: _Optional[str] = ..., version: _Optional[int] = ..., policy_json: _Optional[bytes] = ..., policy_type: _Optional[str] = ..., note: _Optional[str] = ..., created_by: _Optional[str] = ..., created_at_us: _Optional[int] = ..., active: _Optional[bool] = ...) -> None: ...

class PolicyChange(_message.Message):
    __slots__ = ("path", "kind", "old_json", "new_json", "text")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OLD_JSON_FIELD_NUMBER: _ClassVar[int]
    NEW_JSON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    path: str
    kind: str
    old_json: str
    new_json: str
    text: str
    def __init__(self, path: _Optional[str] = ..., kind: _Optional[str] = ..., old_json: _Optional[str] = ..., new_json: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class PriceRecord(_message.Message):
    __slots__ = ("id", "provider", "model", "input", "output", "cache_read", "cache_write", "effective_from_us", "created_at_us", "cache_write_1h", "input_audio", "cache_audio_read", "input_image", "output_audio", "output_image", "web_search", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FROM_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    CACHE_AUDIO_READ_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    provider: str
    model: str
    input: int
    output: int
    cache_read: int
    cache_write: int
    effective_from_us: int
    created_at_us: int
    cache_write_1h: int
    input_audio: int
    cache_audio_read: int
    input_image: int
    output_audio: int
    output_image: int
    web_search: int
    request: int
    def __init__(self, id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., input: _Optional[int] = ..., output: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write: _Optional[int] = ..., effective_from_us: _Optional[int] = ..., created_at_us: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., input_audio: _Optional[int] = ..., cache_audio_read: _Optional[int] = ..., input_image: _Optional[int] = ..., output_audio: _Optional[int] = ..., output_image: _Optional[int] = ..., web_search: _Optional[int] = ..., request: _Optional[int] = ...) -> None: ...

class BudgetRecord(_message.Message):
    __slots__ = ("id", "organization_id", "project_id", "name", "scope", "scope_key", "each", "cap_nano", "max_calls", "max_duration_s", "action", "downgrade_to", "downgrade_at_ppm", "loop_calls", "period", "time_zone", "period_start", "alert_percents", "disabled", "created_at_us", "updated_at_us", "created_by")
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
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
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
    period: str
    time_zone: str
    period_start: int
    alert_percents: _containers.RepeatedScalarFieldContainer[int]
    disabled: bool
    created_at_us: int
    updated_at_us: int
    created_by: str
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., scope: _Optional[str] = ..., scope_key: _Optional[str] = ..., each: _Optional[bool] = ..., cap_nano: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_duration_s: _Optional[int] = ..., action: _Optional[str] = ..., downgrade_to: _Optional[str] = ..., downgrade_at_ppm: _Optional[int] = ..., loop_calls: _Optional[int] = ..., period: _Optional[str] = ..., time_zone: _Optional[str] = ..., period_start: _Optional[int] = ..., alert_percents: _Optional[_Iterable[int]] = ..., disabled: _Optional[bool] = ..., created_at_us: _Optional[int] = ..., updated_at_us: _Optional[int] = ..., created_by: _Optional[str] = ...) -> None: ...

class BudgetAccount(_message.Message):
    __slots__ = ("budget_id", "value", "unit", "window_start_us", "resets_at_us", "cap", "settled", "leased", "unknown", "forfeited", "overrun", "remaining", "forecast", "started_at_us", "exceeded", "aborted")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_US_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    FORFEITED_FIELD_NUMBER: _ClassVar[int]
    OVERRUN_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    EXCEEDED_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    value: str
    unit: str
    window_start_us: int
    resets_at_us: int
    cap: int
    settled: int
    leased: int
    unknown: int
    forfeited: int
    overrun: int
    remaining: int
    forecast: int
    started_at_us: int
    exceeded: bool
    aborted: bool
    def __init__(self, budget_id: _Optional[str] = ..., value: _Optional[str] = ..., unit: _Optional[str] = ..., window_start_us: _Optional[int] = ..., resets_at_us: _Optional[int] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., leased: _Optional[int] = ..., unknown: _Optional[int] = ..., forfeited: _Optional[int] = ..., overrun: _Optional[int] = ..., remaining: _Optional[int] = ..., forecast: _Optional[int] = ..., started_at_us: _Optional[int] = ..., exceeded: _Optional[bool] = ..., aborted: _Optional[bool] = ...) -> None: ...

class BudgetDenial(_message.Message):
    __slots__ = ("budget_id", "value", "unit", "at_us", "reason", "needed", "cap", "settled", "leased", "window_start_us", "resets_at_us", "replica_id", "op_id", "request_id")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_US_FIELD_NUMBER: _ClassVar[int]
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    OP_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    value: str
    unit: str
    at_us: int
    reason: str
    needed: int
    cap: int
    settled: int
    leased: int
    window_start_us: int
    resets_at_us: int
    replica_id: str
    op_id: str
    request_id: str
    def __init__(self, budget_id: _Optional[str] = ..., value: _Optional[str] = ..., unit: _Optional[str] = ..., at_us: _Optional[int] = ..., reason: _Optional[str] = ..., needed: _Optional[int] = ..., cap: _Optional[int] = ..., settled: _Optional[int] = ..., leased: _Optional[int] = ..., window_start_us: _Optional[int] = ..., resets_at_us: _Optional[int] = ..., replica_id: _Optional[str] = ..., op_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class BudgetStanding(_message.Message):
    __slots__ = ("budget", "value", "accounts", "would_pass", "reason", "text", "denials")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    WOULD_PASS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DENIALS_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    value: str
    accounts: _containers.RepeatedCompositeFieldContainer[BudgetAccount]
    would_pass: bool
    reason: str
    text: str
    denials: _containers.RepeatedCompositeFieldContainer[BudgetDenial]
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ..., value: _Optional[str] = ..., accounts: _Optional[_Iterable[_Union[BudgetAccount, _Mapping]]] = ..., would_pass: _Optional[bool] = ..., reason: _Optional[str] = ..., text: _Optional[str] = ..., denials: _Optional[_Iterable[_Union[BudgetDenial, _Mapping]]] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("sequence", "at_us", "actor", "action", "entity", "entity_id", "project_id", "before_json", "after_json", "previous_hash", "hash", "request_id", "snapshot_version")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JSON_FIELD_NUMBER: _ClassVar[int]
    AFTER_JSON_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_VERSION_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    at_us: int
    actor: str
    action: str
    entity: str
    entity_id: str
    project_id: str
    before_json: str
    after_json: str
    previous_hash: bytes
    hash: bytes
    request_id: str
    snapshot_version: int
    def __init__(self, sequence: _Optional[int] = ..., at_us: _Optional[int] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., entity: _Optional[str] = ..., entity_id: _Optional[str] = ..., project_id: _Optional[str] = ..., before_json: _Optional[str] = ..., after_json: _Optional[str] = ..., previous_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ..., request_id: _Optional[str] = ..., snapshot_version: _Optional[int] = ...) -> None: ...

class BootstrapCredential(_message.Message):
    __slots__ = ("name", "provider", "base_url", "secret", "models", "allow_private")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    base_url: str
    secret: str
    models: _containers.RepeatedScalarFieldContainer[str]
    allow_private: bool
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., base_url: _Optional[str] = ..., secret: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., allow_private: _Optional[bool] = ...) -> None: ...

class BootstrapRoutingConfig(_message.Message):
    __slots__ = ("slug", "policy_json", "description")
    SLUG_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    slug: str
    policy_json: bytes
    description: str
    def __init__(self, slug: _Optional[str] = ..., policy_json: _Optional[bytes] = ..., description: _Optional[str] = ...) -> None: ...

class BootstrapRequest(_message.Message):
    __slots__ = ("token", "organization_name", "project_name", "proxy_key", "management_key", "credentials", "routing_configs")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    PROXY_KEY_FIELD_NUMBER: _ClassVar[int]
    MANAGEMENT_KEY_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    token: str
    organization_name: str
    project_name: str
    proxy_key: str
    management_key: str
    credentials: _containers.RepeatedCompositeFieldContainer[BootstrapCredential]
    routing_configs: _containers.RepeatedCompositeFieldContainer[BootstrapRoutingConfig]
    def __init__(self, token: _Optional[str] = ..., organization_name: _Optional[str] = ..., project_name: _Optional[str] = ..., proxy_key: _Optional[str] = ..., management_key: _Optional[str] = ..., credentials: _Optional[_Iterable[_Union[BootstrapCredential, _Mapping]]] = ..., routing_configs: _Optional[_Iterable[_Union[BootstrapRoutingConfig, _Mapping]]] = ...) -> None: ...

class BootstrapResponse(_message.Message):
    __slots__ = ("organization_id", "project_id", "proxy_key_id", "management_key_id", "credential_ids", "snapshot_version")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PROXY_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MANAGEMENT_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_IDS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_VERSION_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    project_id: str
    proxy_key_id: str
    management_key_id: str
    credential_ids: _containers.RepeatedScalarFieldContainer[str]
    snapshot_version: int
    def __init__(self, organization_id: _Optional[str] = ..., project_id: _Optional[str] = ..., proxy_key_id: _Optional[str] = ..., management_key_id: _Optional[str] = ..., credential_ids: _Optional[_Iterable[str]] = ..., snapshot_version: _Optional[int] = ...) -> None: ...

class AuthenticateKeyRequest(_message.Message):
    __slots__ = ("actor",)
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ...) -> None: ...

class AuthenticateKeyResponse(_message.Message):
    __slots__ = ("key_id", "key_name", "organization_id", "organization_name", "role")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    key_name: str
    organization_id: str
    organization_name: str
    role: str
    def __init__(self, key_id: _Optional[str] = ..., key_name: _Optional[str] = ..., organization_id: _Optional[str] = ..., organization_name: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ("actor", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects", "next_cursor")
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[ProjectRecord]
    next_cursor: str
    def __init__(self, projects: _Optional[_Iterable[_Union[ProjectRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetProjectRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: ProjectRecord
    def __init__(self, project: _Optional[_Union[ProjectRecord, _Mapping]] = ...) -> None: ...

class CreateProjectRequest(_message.Message):
    __slots__ = ("actor", "name", "logging_mode", "default_max_tokens", "experiment_spend_cap_nano", "judge_spend_cap_nano", "experiment_sample_min", "experiment_sample_max")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOGGING_MODE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    JUDGE_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MIN_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MAX_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    name: str
    logging_mode: str
    default_max_tokens: int
    experiment_spend_cap_nano: int
    judge_spend_cap_nano: int
    experiment_sample_min: int
    experiment_sample_max: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., name: _Optional[str] = ..., logging_mode: _Optional[str] = ..., default_max_tokens: _Optional[int] = ..., experiment_spend_cap_nano: _Optional[int] = ..., judge_spend_cap_nano: _Optional[int] = ..., experiment_sample_min: _Optional[int] = ..., experiment_sample_max: _Optional[int] = ...) -> None: ...

class CreateProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: ProjectRecord
    def __init__(self, project: _Optional[_Union[ProjectRecord, _Mapping]] = ...) -> None: ...

class UpdateProjectRequest(_message.Message):
    __slots__ = ("actor", "id", "name", "logging_mode", "default_max_tokens", "experiment_spend_cap_nano", "judge_spend_cap_nano", "experiment_sample_min", "experiment_sample_max")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOGGING_MODE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    JUDGE_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MIN_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_SAMPLE_MAX_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    name: str
    logging_mode: str
    default_max_tokens: int
    experiment_spend_cap_nano: int
    judge_spend_cap_nano: int
    experiment_sample_min: int
    experiment_sample_max: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., logging_mode: _Optional[str] = ..., default_max_tokens: _Optional[int] = ..., experiment_spend_cap_nano: _Optional[int] = ..., judge_spend_cap_nano: _Optional[int] = ..., experiment_sample_min: _Optional[int] = ..., experiment_sample_max: _Optional[int] = ...) -> None: ...

class UpdateProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: ProjectRecord
    def __init__(self, project: _Optional[_Union[ProjectRecord, _Mapping]] = ...) -> None: ...

class DeleteProjectRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteProjectResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCredentialsRequest(_message.Message):
    __slots__ = ("actor", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class ListCredentialsResponse(_message.Message):
    __slots__ = ("credentials", "next_cursor")
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    credentials: _containers.RepeatedCompositeFieldContainer[CredentialRecord]
    next_cursor: str
    def __init__(self, credentials: _Optional[_Iterable[_Union[CredentialRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetCredentialRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetCredentialResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: CredentialRecord
    def __init__(self, credential: _Optional[_Union[CredentialRecord, _Mapping]] = ...) -> None: ...

class CreateCredentialRequest(_message.Message):
    __slots__ = ("actor", "name", "provider", "base_url", "secret", "models", "project_ids")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    name: str
    provider: str
    base_url: str
    secret: str
    models: _containers.RepeatedScalarFieldContainer[str]
    project_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., name: _Optional[str] = ..., provider: _Optional[str] = ..., base_url: _Optional[str] = ..., secret: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., project_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateCredentialResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: CredentialRecord
    def __init__(self, credential: _Optional[_Union[CredentialRecord, _Mapping]] = ...) -> None: ...

class UpdateCredentialRequest(_message.Message):
    __slots__ = ("actor", "id", "name", "base_url", "secret", "models", "project_ids")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    name: str
    base_url: str
    secret: str
    models: StringList
    project_ids: StringList
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., base_url: _Optional[str] = ..., secret: _Optional[str] = ..., models: _Optional[_Union[StringList, _Mapping]] = ..., project_ids: _Optional[_Union[StringList, _Mapping]] = ...) -> None: ...

class UpdateCredentialResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: CredentialRecord
    def __init__(self, credential: _Optional[_Union[CredentialRecord, _Mapping]] = ...) -> None: ...

class DeleteCredentialRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteCredentialResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProxyKeysRequest(_message.Message):
    __slots__ = ("actor", "page", "project_id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    project_id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., project_id: _Optional[str] = ...) -> None: ...

class ListProxyKeysResponse(_message.Message):
    __slots__ = ("keys", "next_cursor")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[ProxyKeyRecord]
    next_cursor: str
    def __init__(self, keys: _Optional[_Iterable[_Union[ProxyKeyRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetProxyKeyRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetProxyKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: ProxyKeyRecord
    def __init__(self, key: _Optional[_Union[ProxyKeyRecord, _Mapping]] = ...) -> None: ...

class CreateProxyKeyRequest(_message.Message):
    __slots__ = ("actor", "project_id", "name", "expires_at_us", "requests_per_minute", "tokens_per_minute", "allowed_models")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    project_id: str
    name: str
    expires_at_us: int
    requests_per_minute: int
    tokens_per_minute: int
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., expires_at_us: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., allowed_models: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateProxyKeyResponse(_message.Message):
    __slots__ = ("key", "secret")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    key: ProxyKeyRecord
    secret: str
    def __init__(self, key: _Optional[_Union[ProxyKeyRecord, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class UpdateProxyKeyRequest(_message.Message):
    __slots__ = ("actor", "id", "name", "expires_at_us", "requests_per_minute", "tokens_per_minute", "allowed_models")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    name: str
    expires_at_us: int
    requests_per_minute: int
    tokens_per_minute: int
    allowed_models: StringList
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., expires_at_us: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., allowed_models: _Optional[_Union[StringList, _Mapping]] = ...) -> None: ...

class UpdateProxyKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: ProxyKeyRecord
    def __init__(self, key: _Optional[_Union[ProxyKeyRecord, _Mapping]] = ...) -> None: ...

class RevokeProxyKeyRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class RevokeProxyKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: ProxyKeyRecord
    def __init__(self, key: _Optional[_Union[ProxyKeyRecord, _Mapping]] = ...) -> None: ...

class ListManagementKeysRequest(_message.Message):
    __slots__ = ("actor", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class ListManagementKeysResponse(_message.Message):
    __slots__ = ("keys", "next_cursor")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[ManagementKeyRecord]
    next_cursor: str
    def __init__(self, keys: _Optional[_Iterable[_Union[ManagementKeyRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CreateManagementKeyRequest(_message.Message):
    __slots__ = ("actor", "name", "role", "expires_at_us")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    name: str
    role: str
    expires_at_us: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., expires_at_us: _Optional[int] = ...) -> None: ...

class CreateManagementKeyResponse(_message.Message):
    __slots__ = ("key", "secret")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    key: ManagementKeyRecord
    secret: str
    def __init__(self, key: _Optional[_Union[ManagementKeyRecord, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class RevokeManagementKeyRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class RevokeManagementKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: ManagementKeyRecord
    def __init__(self, key: _Optional[_Union[ManagementKeyRecord, _Mapping]] = ...) -> None: ...

class ListRoutingConfigsRequest(_message.Message):
    __slots__ = ("actor", "page", "project_id", "include_archived", "slug")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    project_id: str
    include_archived: bool
    slug: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., project_id: _Optional[str] = ..., include_archived: _Optional[bool] = ..., slug: _Optional[str] = ...) -> None: ...

class ListRoutingConfigsResponse(_message.Message):
    __slots__ = ("routing_configs", "next_cursor")
    ROUTING_CONFIGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    routing_configs: _containers.RepeatedCompositeFieldContainer[RoutingConfigRecord]
    next_cursor: str
    def __init__(self, routing_configs: _Optional[_Iterable[_Union[RoutingConfigRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config",)
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ...) -> None: ...

class CreateRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "project_id", "slug", "description", "policy_json", "note")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    project_id: str
    slug: str
    description: str
    policy_json: bytes
    note: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., slug: _Optional[str] = ..., description: _Optional[str] = ..., policy_json: _Optional[bytes] = ..., note: _Optional[str] = ...) -> None: ...

class CreateRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config", "warnings")
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    warnings: _containers.RepeatedCompositeFieldContainer[PolicyWarning]
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[PolicyWarning, _Mapping]]] = ...) -> None: ...

class UpdateRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "description", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    description: str
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., description: _Optional[str] = ..., if_revision: _Optional[int] = ...) -> None: ...

class UpdateRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config", "warnings")
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    warnings: _containers.RepeatedCompositeFieldContainer[PolicyWarning]
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[PolicyWarning, _Mapping]]] = ...) -> None: ...

class CreateRoutingConfigVersionRequest(_message.Message):
    __slots__ = ("actor", "id", "policy_json", "note", "activate", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    policy_json: bytes
    note: str
    activate: bool
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., policy_json: _Optional[bytes] = ..., note: _Optional[str] = ..., activate: _Optional[bool] = ..., if_revision: _Optional[int] = ...) -> None: ...

class CreateRoutingConfigVersionResponse(_message.Message):
    __slots__ = ("routing_config", "version", "warnings")
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    version: VersionRecord
    warnings: _containers.RepeatedCompositeFieldContainer[PolicyWarning]
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ..., version: _Optional[_Union[VersionRecord, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[PolicyWarning, _Mapping]]] = ...) -> None: ...

class ListRoutingConfigVersionsRequest(_message.Message):
    __slots__ = ("actor", "id", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class ListRoutingConfigVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_cursor")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[VersionRecord]
    next_cursor: str
    def __init__(self, versions: _Optional[_Iterable[_Union[VersionRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetRoutingConfigVersionRequest(_message.Message):
    __slots__ = ("actor", "id", "version")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    version: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetRoutingConfigVersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: VersionRecord
    def __init__(self, version: _Optional[_Union[VersionRecord, _Mapping]] = ...) -> None: ...

class DiffRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "from_version", "to_version")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    from_version: int
    to_version: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., from_version: _Optional[int] = ..., to_version: _Optional[int] = ...) -> None: ...

class DiffRoutingConfigResponse(_message.Message):
    __slots__ = ("from_version", "to_version", "changes", "summary")
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    from_version: int
    to_version: int
    changes: _containers.RepeatedCompositeFieldContainer[PolicyChange]
    summary: str
    def __init__(self, from_version: _Optional[int] = ..., to_version: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[PolicyChange, _Mapping]]] = ..., summary: _Optional[str] = ...) -> None: ...

class ActivateRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "version", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    version: int
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., version: _Optional[int] = ..., if_revision: _Optional[int] = ...) -> None: ...

class ActivateRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config", "warnings")
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    warnings: _containers.RepeatedCompositeFieldContainer[PolicyWarning]
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[PolicyWarning, _Mapping]]] = ...) -> None: ...

class RollbackRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "version", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    version: int
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., version: _Optional[int] = ..., if_revision: _Optional[int] = ...) -> None: ...

class RollbackRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config", "warnings")
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    warnings: _containers.RepeatedCompositeFieldContainer[PolicyWarning]
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[PolicyWarning, _Mapping]]] = ...) -> None: ...

class ArchiveRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "archived", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    archived: bool
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., archived: _Optional[bool] = ..., if_revision: _Optional[int] = ...) -> None: ...

class ArchiveRoutingConfigResponse(_message.Message):
    __slots__ = ("routing_config",)
    ROUTING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    routing_config: RoutingConfigRecord
    def __init__(self, routing_config: _Optional[_Union[RoutingConfigRecord, _Mapping]] = ...) -> None: ...

class DeleteRoutingConfigRequest(_message.Message):
    __slots__ = ("actor", "id", "if_revision")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    IF_REVISION_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    if_revision: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., if_revision: _Optional[int] = ...) -> None: ...

class DeleteRoutingConfigResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPricesRequest(_message.Message):
    __slots__ = ("actor", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class ListPricesResponse(_message.Message):
    __slots__ = ("prices", "next_cursor")
    PRICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    prices: _containers.RepeatedCompositeFieldContainer[PriceRecord]
    next_cursor: str
    def __init__(self, prices: _Optional[_Iterable[_Union[PriceRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CreatePriceRequest(_message.Message):
    __slots__ = ("actor", "provider", "model", "input", "output", "cache_read", "cache_write", "effective_from_us", "cache_write_1h", "input_audio", "cache_audio_read", "input_image", "output_audio", "output_image", "web_search", "request")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
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
    actor: Actor
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
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., input: _Optional[int] = ..., output: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write: _Optional[int] = ..., effective_from_us: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., input_audio: _Optional[int] = ..., cache_audio_read: _Optional[int] = ..., input_image: _Optional[int] = ..., output_audio: _Optional[int] = ..., output_image: _Optional[int] = ..., web_search: _Optional[int] = ..., request: _Optional[int] = ...) -> None: ...

class CreatePriceResponse(_message.Message):
    __slots__ = ("price",)
    PRICE_FIELD_NUMBER: _ClassVar[int]
    price: PriceRecord
    def __init__(self, price: _Optional[_Union[PriceRecord, _Mapping]] = ...) -> None: ...

class DeletePriceRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeletePriceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ("actor", "page", "project_id", "scope")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    project_id: str
    scope: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., project_id: _Optional[str] = ..., scope: _Optional[str] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ("budgets", "next_cursor")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetRecord]
    next_cursor: str
    def __init__(self, budgets: _Optional[_Iterable[_Union[BudgetRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetBudgetRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ...) -> None: ...

class CreateBudgetRequest(_message.Message):
    __slots__ = ("actor", "project_id", "name", "scope", "scope_key", "each", "cap_nano", "max_calls", "max_duration_s", "action", "downgrade_to", "downgrade_at_ppm", "loop_calls", "period", "time_zone", "period_start", "alert_percents", "disabled")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
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
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
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
    period: str
    time_zone: str
    period_start: int
    alert_percents: PercentList
    disabled: bool
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., name: _Optional[str] = ..., scope: _Optional[str] = ..., scope_key: _Optional[str] = ..., each: _Optional[bool] = ..., cap_nano: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_duration_s: _Optional[int] = ..., action: _Optional[str] = ..., downgrade_to: _Optional[str] = ..., downgrade_at_ppm: _Optional[int] = ..., loop_calls: _Optional[int] = ..., period: _Optional[str] = ..., time_zone: _Optional[str] = ..., period_start: _Optional[int] = ..., alert_percents: _Optional[_Union[PercentList, _Mapping]] = ..., disabled: _Optional[bool] = ...) -> None: ...

class PercentList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...

class CreateBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ...) -> None: ...

class UpdateBudgetRequest(_message.Message):
    __slots__ = ("actor", "id", "name", "cap_nano", "max_calls", "max_duration_s", "clear", "action", "downgrade_to", "downgrade_at_ppm", "loop_calls", "alert_percents", "disabled")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_S_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_TO_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_AT_PPM_FIELD_NUMBER: _ClassVar[int]
    LOOP_CALLS_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    name: str
    cap_nano: int
    max_calls: int
    max_duration_s: int
    clear: _containers.RepeatedScalarFieldContainer[str]
    action: str
    downgrade_to: str
    downgrade_at_ppm: int
    loop_calls: int
    alert_percents: PercentList
    disabled: bool
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., cap_nano: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_duration_s: _Optional[int] = ..., clear: _Optional[_Iterable[str]] = ..., action: _Optional[str] = ..., downgrade_to: _Optional[str] = ..., downgrade_at_ppm: _Optional[int] = ..., loop_calls: _Optional[int] = ..., alert_percents: _Optional[_Union[PercentList, _Mapping]] = ..., disabled: _Optional[bool] = ...) -> None: ...

class UpdateBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ...) -> None: ...

class DeleteBudgetRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteBudgetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetBudgetSpendRequest(_message.Message):
    __slots__ = ("actor", "id", "value", "page")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    value: str
    page: Page
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., value: _Optional[str] = ..., page: _Optional[_Union[Page, _Mapping]] = ...) -> None: ...

class GetBudgetSpendResponse(_message.Message):
    __slots__ = ("budget", "accounts", "next_cursor", "at_us")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    accounts: _containers.RepeatedCompositeFieldContainer[BudgetAccount]
    next_cursor: str
    at_us: int
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ..., accounts: _Optional[_Iterable[_Union[BudgetAccount, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class ExplainBudgetRequest(_message.Message):
    __slots__ = ("actor", "budget_id", "value", "project_id", "key_id", "tags", "end_user", "model", "provider", "experiment_id", "judge_run_id", "needed_nano")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    JUDGE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NEEDED_NANO_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    budget_id: str
    value: str
    project_id: str
    key_id: str
    tags: _containers.ScalarMap[str, str]
    end_user: str
    model: str
    provider: str
    experiment_id: str
    judge_run_id: str
    needed_nano: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., budget_id: _Optional[str] = ..., value: _Optional[str] = ..., project_id: _Optional[str] = ..., key_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., end_user: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., experiment_id: _Optional[str] = ..., judge_run_id: _Optional[str] = ..., needed_nano: _Optional[int] = ...) -> None: ...

class ExplainBudgetResponse(_message.Message):
    __slots__ = ("standings", "would_pass", "at_us")
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    WOULD_PASS_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    standings: _containers.RepeatedCompositeFieldContainer[BudgetStanding]
    would_pass: bool
    at_us: int
    def __init__(self, standings: _Optional[_Iterable[_Union[BudgetStanding, _Mapping]]] = ..., would_pass: _Optional[bool] = ..., at_us: _Optional[int] = ...) -> None: ...

class ReconcileBudgetRequest(_message.Message):
    __slots__ = ("actor", "id", "start_us", "end_us", "page", "value")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    start_us: int
    end_us: int
    page: Page
    value: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., value: _Optional[str] = ...) -> None: ...

class ReconcileBudgetResponse(_message.Message):
    __slots__ = ("accounts", "next_cursor", "at_us")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[BudgetAccount]
    next_cursor: str
    at_us: int
    def __init__(self, accounts: _Optional[_Iterable[_Union[BudgetAccount, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., at_us: _Optional[int] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("actor", "page", "entity", "entity_id", "actor_id", "action", "start_us", "end_us")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    START_US_FIELD_NUMBER: _ClassVar[int]
    END_US_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    page: Page
    entity: str
    entity_id: str
    actor_id: str
    action: str
    start_us: int
    end_us: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., entity: _Optional[str] = ..., entity_id: _Optional[str] = ..., actor_id: _Optional[str] = ..., action: _Optional[str] = ..., start_us: _Optional[int] = ..., end_us: _Optional[int] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("entries", "next_cursor")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    next_cursor: str
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("actor",)
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("entries", "broken_at")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BROKEN_AT_FIELD_NUMBER: _ClassVar[int]
    entries: int
    broken_at: int
    def __init__(self, entries: _Optional[int] = ..., broken_at: _Optional[int] = ...) -> None: ...

class OpenSpendCapRequest(_message.Message):
    __slots__ = ("actor", "project_id", "scope", "scope_key", "name", "cap_nano")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    project_id: str
    scope: str
    scope_key: str
    name: str
    cap_nano: int
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., scope: _Optional[str] = ..., scope_key: _Optional[str] = ..., name: _Optional[str] = ..., cap_nano: _Optional[int] = ...) -> None: ...

class OpenSpendCapResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: BudgetRecord
    def __init__(self, budget: _Optional[_Union[BudgetRecord, _Mapping]] = ...) -> None: ...

class CloseSpendCapRequest(_message.Message):
    __slots__ = ("organization_id", "budget_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    budget_id: str
    def __init__(self, organization_id: _Optional[str] = ..., budget_id: _Optional[str] = ...) -> None: ...

class CloseSpendCapResponse(_message.Message):
    __slots__ = ("settled_nano",)
    SETTLED_NANO_FIELD_NUMBER: _ClassVar[int]
    settled_nano: int
    def __init__(self, settled_nano: _Optional[int] = ...) -> None: ...

class GetSpendCapRequest(_message.Message):
    __slots__ = ("organization_id", "budget_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    budget_id: str
    def __init__(self, organization_id: _Optional[str] = ..., budget_id: _Optional[str] = ...) -> None: ...

class GetSpendCapResponse(_message.Message):
    __slots__ = ("cap_nano", "settled_nano", "leased_nano")
    CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    SETTLED_NANO_FIELD_NUMBER: _ClassVar[int]
    LEASED_NANO_FIELD_NUMBER: _ClassVar[int]
    cap_nano: int
    settled_nano: int
    leased_nano: int
    def __init__(self, cap_nano: _Optional[int] = ..., settled_nano: _Optional[int] = ..., leased_nano: _Optional[int] = ...) -> None: ...

class RecordAuditRequest(_message.Message):
    __slots__ = ("actor", "entity", "entity_id", "action", "project_id", "before_json", "after_json")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JSON_FIELD_NUMBER: _ClassVar[int]
    AFTER_JSON_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    entity: str
    entity_id: str
    action: str
    project_id: str
    before_json: str
    after_json: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., entity: _Optional[str] = ..., entity_id: _Optional[str] = ..., action: _Optional[str] = ..., project_id: _Optional[str] = ..., before_json: _Optional[str] = ..., after_json: _Optional[str] = ...) -> None: ...

class RecordAuditResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StepRolloutRequest(_message.Message):
    __slots__ = ("organization_id", "routing_config_id", "rollout_id", "expected_active_version", "policy_json", "rollback_to", "note")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_JSON_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_TO_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    routing_config_id: str
    rollout_id: str
    expected_active_version: int
    policy_json: bytes
    rollback_to: int
    note: str
    def __init__(self, organization_id: _Optional[str] = ..., routing_config_id: _Optional[str] = ..., rollout_id: _Optional[str] = ..., expected_active_version: _Optional[int] = ..., policy_json: _Optional[bytes] = ..., rollback_to: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class StepRolloutResponse(_message.Message):
    __slots__ = ("done", "active_version")
    DONE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    done: bool
    active_version: int
    def __init__(self, done: _Optional[bool] = ..., active_version: _Optional[int] = ...) -> None: ...
