-- The arm that a split of the request's own policy chose, read from the trace once, when the row comes: whoever compares arms asks
-- for all requests of a split, and traces are nine tenths of a row. Empty where the policy is none. Rows from before are read as asked.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS arm LowCardinality(String)
    DEFAULT if(JSONExtractString(trace, 'path', 1, 'policy_type') = 'ab_test', JSONExtractString(trace, 'path', 1, 'chose'), '') AFTER trace;

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;
