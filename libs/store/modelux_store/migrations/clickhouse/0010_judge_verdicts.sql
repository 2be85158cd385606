-- One row per question to a judge: a pair of answers in one order, and what the judge said. A verdict that is told twice
-- replaces itself.
CREATE TABLE IF NOT EXISTS judge_verdicts (
    judge_run_id String,
    experiment_id String,
    organization_id LowCardinality(String),
    project_id LowCardinality(String),
    -- As in experiment_rows.
    row UInt32,
    -- baseline_first or candidate_first.
    presented LowCardinality(String),
    request_id String CODEC(ZSTD),
    candidate_request_id String CODEC(ZSTD),
    -- high, mild or major.
    bucket LowCardinality(String),
    similarity Float64,
    -- better, equivalent, worse, parse_error, steered, failed or interrupted.
    verdict LowCardinality(String),
    reason String CODEC(ZSTD),
    -- The judge's call in the request log; empty: none was made.
    call_id String CODEC(ZSTD),
    cost_nano Int64,
    error LowCardinality(String),
    at DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(written_at)
ORDER BY (judge_run_id, row, presented)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
