-- A unit of a replay is one file, as a batch of requests is: an insert of 10,000 rows, and every merge, wrote 158. Traces
-- were no smaller for the higher level.
ALTER TABLE experiment_rows MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE experiment_rows MODIFY COLUMN trace String CODEC(ZSTD(1));
