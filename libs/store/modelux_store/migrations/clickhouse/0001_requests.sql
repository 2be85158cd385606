-- One row per request and one per attempt. A row that comes twice replaces itself, and what really happened replaces
-- 'unknown'; that takes place at some later merge, so whoever counts reads the views below, or says FINAL.
CREATE TABLE IF NOT EXISTS requests (
    request_id String,
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    key_id LowCardinality(String),
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    endpoint LowCardinality(String),
    requested_model LowCardinality(String),
    config_slug LowCardinality(String),
    config_version Int32,
    policy_type LowCardinality(String),
    outcome LowCardinality(String),
    status UInt16,
    error_code LowCardinality(String),
    model LowCardinality(String),
    provider LowCardinality(String),
    credential_id LowCardinality(String),
    stream Bool,
    tags Map(LowCardinality(String), String),
    end_user_id String CODEC(ZSTD),
    input_tokens Int64,
    output_tokens Int64,
    cache_read_tokens Int64,
    cache_write_tokens Int64,
    reasoning_tokens Int64,
    usage_estimated Bool,
    cost_nano Int64,
    latency_us Int64,
    ttft_us Nullable(Int64),
    overhead_us Int64,
    attempts UInt16,
    logging_mode LowCardinality(String),
    body_shed Bool,
    price_version LowCardinality(String),
    response_id String CODEC(ZSTD),
    trace String CODEC(ZSTD(3)),
    request_body String CODEC(ZSTD(3)),
    response_body String CODEC(ZSTD(3)),
    -- 1, or 0 where the outcome is unknown.
    version UInt8,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (project_id, toStartOfHour(started_at), request_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS attempts (
    request_id String,
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    -- Of the request, so that both rows live in the same month and hour.
    request_started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    number UInt16,
    model LowCardinality(String),
    provider LowCardinality(String),
    credential_id LowCardinality(String),
    kind LowCardinality(String),
    status UInt16,
    error_code LowCardinality(String),
    started_us Int64,
    latency_us Int64,
    ttft_us Nullable(Int64),
    input_tokens Int64,
    output_tokens Int64,
    cache_read_tokens Int64,
    cache_write_tokens Int64,
    reasoning_tokens Int64,
    usage_estimated Bool,
    cost_nano Int64,
    version UInt8,
    INDEX by_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(request_started_at)
ORDER BY (project_id, toStartOfHour(request_started_at), request_id, number)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE VIEW IF NOT EXISTS requests_once AS SELECT * FROM requests FINAL;

CREATE VIEW IF NOT EXISTS attempts_once AS SELECT * FROM attempts FINAL;
