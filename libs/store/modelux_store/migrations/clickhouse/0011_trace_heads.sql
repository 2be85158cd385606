-- What a trace has in common with others, before its own part: `trace` is the rest, and the two together the JSON. Rows
-- without a head have the whole of it in `trace`.
ALTER TABLE experiment_rows ADD COLUMN IF NOT EXISTS trace_head LowCardinality(String) AFTER reproduced;
