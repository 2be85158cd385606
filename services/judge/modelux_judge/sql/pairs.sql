-- add: a pair that was drawn
INSERT INTO judge.pairs (run_id, row, place, kind, bucket, similarity, request_id, candidate_request_id)
VALUES (%(run_id)s, %(row)s, %(place)s, %(kind)s, %(bucket)s, %(similarity)s, %(request_id)s, %(candidate_request_id)s)
ON CONFLICT DO NOTHING

-- all: of one run, in the order in which they are judged
SELECT * FROM judge.pairs WHERE run_id = %(run_id)s ORDER BY place

-- intend: a call is about to leave; no row where it did before, or where the run may not begin one
INSERT INTO judge.calls (run_id, row, presented, epoch, call_id)
SELECT id, %(row)s, %(presented)s, epoch, %(call_id)s FROM judge.runs
WHERE id = %(run_id)s AND epoch = %(epoch)s AND status = 'running' AND stop_reason = '' FOR SHARE
ON CONFLICT DO NOTHING RETURNING row

-- unsaid: a call that never left, and may be made by somebody else
DELETE FROM judge.calls
WHERE run_id = %(run_id)s AND row = %(row)s AND presented = %(presented)s AND epoch = %(epoch)s AND verdict IS NULL

-- said: what a call brought; no row where it counts as interrupted by now
UPDATE judge.calls SET verdict = %(verdict)s, baseline_chars = %(baseline_chars)s, candidate_chars = %(candidate_chars)s
WHERE run_id = %(run_id)s AND row = %(row)s AND presented = %(presented)s AND verdict IS NULL RETURNING row

-- calls: of one run
SELECT * FROM judge.calls WHERE run_id = %(run_id)s

-- labels: of one run
SELECT * FROM judge.labels WHERE run_id = %(run_id)s

-- label: what somebody says of a pair, in place of what was said before
INSERT INTO judge.labels (run_id, row, verdict, note, labeller, key_id, at_us)
VALUES (%(run_id)s, %(row)s, %(verdict)s, %(note)s, %(labeller)s, %(key_id)s, %(at_us)s)
ON CONFLICT (run_id, row) DO UPDATE SET verdict = excluded.verdict, note = excluded.note, labeller = excluded.labeller,
    key_id = excluded.key_id, at_us = excluded.at_us
