-- One row per replayed request per experiment: what happened, and what happens under the candidate. A unit of work that
-- is written twice replaces itself.
CREATE TABLE IF NOT EXISTS experiment_rows (
    experiment_id String,
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    -- Place in the window, counted from 0 in order of time.
    row UInt32,
    request_id String,
    started_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    -- observed, reused, projected or not_evaluable.
    evidence LowCardinality(String),
    baseline_model LowCardinality(String),
    baseline_provider LowCardinality(String),
    baseline_cost_nano Int64,
    baseline_latency_us Nullable(Int64),
    baseline_ttft_us Nullable(Int64),
    -- ok or error.
    baseline_status LowCardinality(String),
    baseline_error_code LowCardinality(String),
    baseline_input_tokens Int64,
    baseline_output_tokens Int64,
    baseline_attempts UInt16,
    -- Empty or null where the row cannot be evaluated.
    candidate_model LowCardinality(String),
    candidate_provider LowCardinality(String),
    candidate_cost_nano Nullable(Int64),
    -- Where the candidate may or may not ask again: the least and the most it can cost.
    candidate_cost_low_nano Nullable(Int64),
    candidate_cost_high_nano Nullable(Int64),
    candidate_latency_us Nullable(Int64),
    candidate_ttft_us Nullable(Int64),
    candidate_status LowCardinality(String),
    candidate_error_code LowCardinality(String),
    candidate_input_tokens Int64,
    candidate_output_tokens Int64,
    candidate_attempts UInt16,
    similarity Nullable(Float64),
    -- For how many rows of the window this one stands.
    weight Float64,
    stratum LowCardinality(String),
    -- The run that the row belongs to; empty: none.
    cluster String CODEC(ZSTD),
    -- Whether the logged version, replayed with what was recorded, decides the same; null: there is no trace.
    reproduced Nullable(Bool),
    -- The candidate's decision trace, JSON.
    trace String CODEC(ZSTD(3)),
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(written_at)
ORDER BY (experiment_id, row)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
