-- Where a row's candidate was called: the log entries that hold the answers, and whose scores they are.
ALTER TABLE experiment_rows
    -- Request id of the candidate's call, and of the logged model's second one; empty: there was none.
    ADD COLUMN IF NOT EXISTS candidate_request_id String CODEC(ZSTD),
    ADD COLUMN IF NOT EXISTS repeat_request_id String CODEC(ZSTD),
    -- What made the similarities; scores of different embedders do not compare.
    ADD COLUMN IF NOT EXISTS embedder LowCardinality(String);
