from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Actor(_message.Message):
    __slots__ = ("organization_id", "key_id", "key_hash", "request_id", "idempotency_key", "schedule_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_HASH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    key_id: str
    key_hash: bytes
    request_id: str
    idempotency_key: str
    schedule_id: str
    def __init__(self, organization_id: _Optional[str] = ..., key_id: _Optional[str] = ..., key_hash: _Optional[bytes] = ..., request_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., schedule_id: _Optional[str] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("model", "provider", "end_user_id", "tags", "status", "config")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    END_USER_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    end_user_id: str
    tags: _containers.ScalarMap[str, str]
    status: str
    config: str
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., end_user_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., status: _Optional[str] = ..., config: _Optional[str] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("size", "method", "tag", "call_unchanged", "aa_share")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    CALL_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    AA_SHARE_FIELD_NUMBER: _ClassVar[int]
    size: int
    method: str
    tag: str
    call_unchanged: bool
    aa_share: float
    def __init__(self, size: _Optional[int] = ..., method: _Optional[str] = ..., tag: _Optional[str] = ..., call_unchanged: _Optional[bool] = ..., aa_share: _Optional[float] = ...) -> None: ...

class Pilot(_message.Message):
    __slots__ = ("size",)
    SIZE_FIELD_NUMBER: _ClassVar[int]
    size: int
    def __init__(self, size: _Optional[int] = ...) -> None: ...

class ExperimentSpec(_message.Message):
    __slots__ = ("project_id", "name", "hypothesis", "mode", "candidate_policy", "candidate_config_json", "window_start", "window_end", "filter", "sample", "spend_cap_nano", "run_tag", "pilot", "criteria_json")
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    HYPOTHESIS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_POLICY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    RUN_TAG_FIELD_NUMBER: _ClassVar[int]
    PILOT_FIELD_NUMBER: _ClassVar[int]
    CRITERIA_JSON_FIELD_NUMBER: _ClassVar[int]
    project_id: str
    name: str
    hypothesis: str
    mode: str
    candidate_policy: str
    candidate_config_json: bytes
    window_start: str
    window_end: str
    filter: Filter
    sample: Sample
    spend_cap_nano: int
    run_tag: str
    pilot: Pilot
    criteria_json: bytes
    def __init__(self, project_id: _Optional[str] = ..., name: _Optional[str] = ..., hypothesis: _Optional[str] = ..., mode: _Optional[str] = ..., candidate_policy: _Optional[str] = ..., candidate_config_json: _Optional[bytes] = ..., window_start: _Optional[str] = ..., window_end: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., sample: _Optional[_Union[Sample, _Mapping]] = ..., spend_cap_nano: _Optional[int] = ..., run_tag: _Optional[str] = ..., pilot: _Optional[_Union[Pilot, _Mapping]] = ..., criteria_json: _Optional[bytes] = ...) -> None: ...

class Promotion(_message.Message):
    __slots__ = ("routing_config_id", "slug", "version", "mode", "weight", "at_us", "actor")
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    routing_config_id: str
    slug: str
    version: int
    mode: str
    weight: float
    at_us: int
    actor: str
    def __init__(self, routing_config_id: _Optional[str] = ..., slug: _Optional[str] = ..., version: _Optional[int] = ..., mode: _Optional[str] = ..., weight: _Optional[float] = ..., at_us: _Optional[int] = ..., actor: _Optional[str] = ...) -> None: ...

class ExperimentRecord(_message.Message):
    __slots__ = ("id", "organization_id", "spec", "candidate_reference", "window_start_us", "window_end_us", "status", "status_reason", "rows_total", "rows_done", "created_at_us", "started_at_us", "finished_at_us", "created_by", "seed", "summary_json", "promotions", "budget_id", "spent_nano", "verdict_json", "schedule_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_US_FIELD_NUMBER: _ClassVar[int]
    WINDOW_END_US_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ROWS_DONE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_US_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    PROMOTIONS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    SPENT_NANO_FIELD_NUMBER: _ClassVar[int]
    VERDICT_JSON_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    spec: ExperimentSpec
    candidate_reference: str
    window_start_us: int
    window_end_us: int
    status: str
    status_reason: str
    rows_total: int
    rows_done: int
    created_at_us: int
    started_at_us: int
    finished_at_us: int
    created_by: str
    seed: int
    summary_json: bytes
    promotions: _containers.RepeatedCompositeFieldContainer[Promotion]
    budget_id: str
    spent_nano: int
    verdict_json: bytes
    schedule_id: str
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., spec: _Optional[_Union[ExperimentSpec, _Mapping]] = ..., candidate_reference: _Optional[str] = ..., window_start_us: _Optional[int] = ..., window_end_us: _Optional[int] = ..., status: _Optional[str] = ..., status_reason: _Optional[str] = ..., rows_total: _Optional[int] = ..., rows_done: _Optional[int] = ..., created_at_us: _Optional[int] = ..., started_at_us: _Optional[int] = ..., finished_at_us: _Optional[int] = ..., created_by: _Optional[str] = ..., seed: _Optional[int] = ..., summary_json: _Optional[bytes] = ..., promotions: _Optional[_Iterable[_Union[Promotion, _Mapping]]] = ..., budget_id: _Optional[str] = ..., spent_nano: _Optional[int] = ..., verdict_json: _Optional[bytes] = ..., schedule_id: _Optional[str] = ...) -> None: ...

class PreflightRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    spec: ExperimentSpec
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., spec: _Optional[_Union[ExperimentSpec, _Mapping]] = ...) -> None: ...

class PreflightResponse(_message.Message):
    __slots__ = ("rows_in_window", "effective_sample_size", "estimated_cost_nano", "per_call_nano", "embedding_cost_nano", "spend_cap_nano", "suggested_spend_cap_nano", "requires_confirmation", "auto_cancel_ratio", "notes", "calls", "detectable_rate_points", "detectable_cost_percent")
    ROWS_IN_WINDOW_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_COST_NANO_FIELD_NUMBER: _ClassVar[int]
    PER_CALL_NANO_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_COST_NANO_FIELD_NUMBER: _ClassVar[int]
    SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_SPEND_CAP_NANO_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    AUTO_CANCEL_RATIO_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    DETECTABLE_RATE_POINTS_FIELD_NUMBER: _ClassVar[int]
    DETECTABLE_COST_PERCENT_FIELD_NUMBER: _ClassVar[int]
    rows_in_window: int
    effective_sample_size: int
    estimated_cost_nano: int
    per_call_nano: int
    embedding_cost_nano: int
    spend_cap_nano: int
    suggested_spend_cap_nano: int
    requires_confirmation: bool
    auto_cancel_ratio: float
    notes: _containers.RepeatedScalarFieldContainer[str]
    calls: int
    detectable_rate_points: float
    detectable_cost_percent: float
    def __init__(self, rows_in_window: _Optional[int] = ..., effective_sample_size: _Optional[int] = ..., estimated_cost_nano: _Optional[int] = ..., per_call_nano: _Optional[int] = ..., embedding_cost_nano: _Optional[int] = ..., spend_cap_nano: _Optional[int] = ..., suggested_spend_cap_nano: _Optional[int] = ..., requires_confirmation: _Optional[bool] = ..., auto_cancel_ratio: _Optional[float] = ..., notes: _Optional[_Iterable[str]] = ..., calls: _Optional[int] = ..., detectable_rate_points: _Optional[float] = ..., detectable_cost_percent: _Optional[float] = ...) -> None: ...

class CreateRequest(_message.Message):
    __slots__ = ("actor", "spec")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    spec: ExperimentSpec
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., spec: _Optional[_Union[ExperimentSpec, _Mapping]] = ...) -> None: ...

class CreateResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: ExperimentRecord
    def __init__(self, experiment: _Optional[_Union[ExperimentRecord, _Mapping]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: ExperimentRecord
    def __init__(self, experiment: _Optional[_Union[ExperimentRecord, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("actor", "project_id", "status", "limit", "cursor", "schedule_id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    project_id: str
    status: str
    limit: int
    cursor: str
    schedule_id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ..., status: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ..., schedule_id: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("experiments", "next_cursor")
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    experiments: _containers.RepeatedCompositeFieldContainer[ExperimentRecord]
    next_cursor: str
    def __init__(self, experiments: _Optional[_Iterable[_Union[ExperimentRecord, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("actor", "id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class CancelResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: ExperimentRecord
    def __init__(self, experiment: _Optional[_Union[ExperimentRecord, _Mapping]] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("actor", "id", "routing_config_id", "slug", "mode", "weight", "note")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ROUTING_CONFIG_ID_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    id: str
    routing_config_id: str
    slug: str
    mode: str
    weight: float
    note: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., id: _Optional[str] = ..., routing_config_id: _Optional[str] = ..., slug: _Optional[str] = ..., mode: _Optional[str] = ..., weight: _Optional[float] = ..., note: _Optional[str] = ...) -> None: ...

class PromoteResponse(_message.Message):
    __slots__ = ("experiment", "promotion")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    experiment: ExperimentRecord
    promotion: Promotion
    def __init__(self, experiment: _Optional[_Union[ExperimentRecord, _Mapping]] = ..., promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class MayCallRequest(_message.Message):
    __slots__ = ("organization_id", "experiment_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    experiment_id: str
    def __init__(self, organization_id: _Optional[str] = ..., experiment_id: _Optional[str] = ...) -> None: ...

class MayCallResponse(_message.Message):
    __slots__ = ("may_call",)
    MAY_CALL_FIELD_NUMBER: _ClassVar[int]
    may_call: bool
    def __init__(self, may_call: _Optional[bool] = ...) -> None: ...

class ScorecardRequest(_message.Message):
    __slots__ = ("actor", "project_id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    actor: Actor
    project_id: str
    def __init__(self, actor: _Optional[_Union[Actor, _Mapping]] = ..., project_id: _Optional[str] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("value", "lower", "upper")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ...) -> None: ...

class ScorecardEntry(_message.Message):
    __slots__ = ("experiment_id", "source", "slug", "version", "metric", "projected", "measured", "requests", "measured_at_us", "held")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    PROJECTED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_AT_US_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    source: str
    slug: str
    version: int
    metric: str
    projected: Estimate
    measured: Estimate
    requests: int
    measured_at_us: int
    held: bool
    def __init__(self, experiment_id: _Optional[str] = ..., source: _Optional[str] = ..., slug: _Optional[str] = ..., version: _Optional[int] = ..., metric: _Optional[str] = ..., projected: _Optional[_Union[Estimate, _Mapping]] = ..., measured: _Optional[_Union[Estimate, _Mapping]] = ..., requests: _Optional[int] = ..., measured_at_us: _Optional[int] = ..., held: _Optional[bool] = ...) -> None: ...

class ScorecardMetric(_message.Message):
    __slots__ = ("metric", "entries", "coverage", "median_error", "too_high", "widen_by")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_ERROR_FIELD_NUMBER: _ClassVar[int]
    TOO_HIGH_FIELD_NUMBER: _ClassVar[int]
    WIDEN_BY_FIELD_NUMBER: _ClassVar[int]
    metric: str
    entries: int
    coverage: Estimate
    median_error: float
    too_high: Estimate
    widen_by: float
    def __init__(self, metric: _Optional[str] = ..., entries: _Optional[int] = ..., coverage: _Optional[_Union[Estimate, _Mapping]] = ..., median_error: _Optional[float] = ..., too_high: _Optional[_Union[Estimate, _Mapping]] = ..., widen_by: _Optional[float] = ...) -> None: ...

class ScorecardResponse(_message.Message):
    __slots__ = ("metrics", "entries", "waiting")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[ScorecardMetric]
    entries: _containers.RepeatedCompositeFieldContainer[ScorecardEntry]
    waiting: int
    def __init__(self, metrics: _Optional[_Iterable[_Union[ScorecardMetric, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[ScorecardEntry, _Mapping]]] = ..., waiting: _Optional[int] = ...) -> None: ...
