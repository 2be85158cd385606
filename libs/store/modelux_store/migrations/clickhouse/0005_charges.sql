-- What budgets were charged, where that is not cost_nano: more, as nobody knows what the call cost. 0: the same.
-- How often a guarded run had made this very call, on the call that made it a loop. 0: on all others.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS charged_nano Int64,
    ADD COLUMN IF NOT EXISTS repeats UInt32;

ALTER TABLE attempts
    ADD COLUMN IF NOT EXISTS charged_nano Int64;

CREATE OR REPLACE VIEW requests_once AS SELECT * FROM requests FINAL;

CREATE OR REPLACE VIEW attempts_once AS SELECT * FROM attempts FINAL;
