-- How far the logged model differs from itself, and how likely its choice was.
ALTER TABLE experiment_rows
    -- Where the logged model was asked once more: how alike its two answers are, and ok or error; empty: it was not.
    ADD COLUMN IF NOT EXISTS repeat_similarity Nullable(Float64) AFTER similarity,
    ADD COLUMN IF NOT EXISTS repeat_status LowCardinality(String) AFTER repeat_similarity,
    -- Of the logged choice, by the splits that the request passed; null: it passed none.
    ADD COLUMN IF NOT EXISTS propensity Nullable(Float64) AFTER weight;
