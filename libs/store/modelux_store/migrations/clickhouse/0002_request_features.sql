-- What a policy knew of a request beside the columns that were there, so that a replay knows the same.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS estimated_input_tokens Int64,
    -- 0: the caller set none.
    ADD COLUMN IF NOT EXISTS max_tokens Int64,
    ADD COLUMN IF NOT EXISTS needs Array(LowCardinality(String));

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
