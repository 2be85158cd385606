-- A batch just written is one file, not three for each of 50 columns: that halves the work of an insert. Merges soon
-- make parts beyond this size, and those keep a file per column.
ALTER TABLE requests MODIFY SETTING min_bytes_for_wide_part = 134217728;

ALTER TABLE attempts MODIFY SETTING min_bytes_for_wide_part = 134217728;
