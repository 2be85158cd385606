-- Where a call comes from: empty where a proxy served it, else the name of the history that it was imported with.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS source LowCardinality(String);

ALTER TABLE attempts
    ADD COLUMN IF NOT EXISTS source LowCardinality(String);

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;

CREATE OR REPLACE VIEW attempts_once AS SELECT * FROM attempts FINAL;
