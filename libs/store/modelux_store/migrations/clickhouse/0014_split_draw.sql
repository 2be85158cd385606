-- Where the unit of the first split that the logged request met fell, in [0, 1): the same for all requests of one user, run or key, if
-- the split keeps those together. Null: it met none, or the row is from before.
ALTER TABLE experiment_rows
    ADD COLUMN IF NOT EXISTS split_draw Nullable(Float64) AFTER propensity;
