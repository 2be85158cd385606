-- Parts of a call's usage that few calls have, by name; which price each attempt was charged at, and whether one is
-- known: where none is, cost_nano is the ceiling that was charged.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS usage_extras Map(LowCardinality(String), Int64),
    ADD COLUMN IF NOT EXISTS price_unknown Bool;

ALTER TABLE attempts
    ADD COLUMN IF NOT EXISTS usage_extras Map(LowCardinality(String), Int64),
    ADD COLUMN IF NOT EXISTS price_version LowCardinality(String),
    ADD COLUMN IF NOT EXISTS price_unknown Bool;

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;

CREATE OR REPLACE VIEW attempts_once AS SELECT * FROM attempts FINAL;
