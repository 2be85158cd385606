-- insert: a new run
INSERT INTO judge.runs (id, organization_id, project_id, experiment_id, spec, rubric_hash, status, pairs_total, created_at_us, created_by,
    budget_id, secret, idempotency_key, request_hash)
VALUES (%(id)s, %(organization_id)s, %(project_id)s, %(experiment_id)s, %(spec)s, %(rubric_hash)s, 'pending', %(pairs_total)s,
    %(created_at_us)s, %(created_by)s, %(budget_id)s, %(secret)s, %(idempotency_key)s, %(request_hash)s)

-- get: one of an experiment
SELECT * FROM judge.runs WHERE organization_id = %(organization_id)s AND experiment_id = %(experiment_id)s AND id = %(id)s

-- find: one by its id alone, for whoever runs it
SELECT * FROM judge.runs WHERE id = %(id)s

-- by_idempotency_key: what the same request made before
SELECT * FROM judge.runs
WHERE organization_id = %(organization_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s

-- list: a page, newest first
SELECT * FROM judge.runs
WHERE organization_id = %(organization_id)s AND experiment_id = %(experiment_id)s AND (%(after)s = '' OR id < %(after)s)
ORDER BY id DESC LIMIT %(limit)s

-- earlier: completed runs of an experiment, newest first
SELECT * FROM judge.runs
WHERE organization_id = %(organization_id)s AND experiment_id = %(experiment_id)s AND status = 'completed' AND id < %(before)s
ORDER BY id DESC LIMIT 20

-- lock_organization: whoever creates one waits for whoever does in the same organization
SELECT pg_advisory_xact_lock(hashtextextended('judge.runs ' || %(organization_id)s, 0))

-- at_work: how many of an organization wait or run
SELECT count(*) AS count FROM judge.runs
WHERE organization_id = %(organization_id)s AND status IN ('pending', 'running')

-- transition: to another status, unless somebody was there first
UPDATE judge.runs SET status = %(status)s, status_reason = %(reason)s, revision = revision + 1,
    finished_at_us = %(finished_at_us)s, summary = %(summary)s, spent_nano = %(spent_nano)s, pairs_done = %(pairs_done)s
WHERE id = %(id)s AND revision = %(revision)s RETURNING *

-- claim: this process runs it from now on
UPDATE judge.runs SET status = 'running', epoch = epoch + 1, revision = revision + 1,
    started_at_us = CASE WHEN started_at_us = 0 THEN %(now_us)s ELSE started_at_us END, alive_at_us = %(now_us)s
WHERE id = %(id)s AND (status = 'pending' OR (status = 'running' AND alive_at_us < %(silent_before_us)s)) RETURNING *

-- release: another process may run it at once
UPDATE judge.runs SET alive_at_us = 0 WHERE id = %(id)s AND epoch = %(epoch)s

-- drawn: what the run found and drew of its experiment
UPDATE judge.runs SET population = %(population)s, drawn = %(drawn)s, pairs_total = %(pairs_total)s
WHERE id = %(id)s AND epoch = %(epoch)s AND status = 'running' RETURNING id

-- progress: a sign of life of the process that runs it, and why it is to stop; no row where it is no longer its
UPDATE judge.runs SET pairs_done = %(pairs_done)s, spent_nano = greatest(spent_nano, %(spent_nano)s), alive_at_us = %(now_us)s
WHERE id = %(id)s AND epoch = %(epoch)s AND status = 'running' RETURNING stop_reason

-- stop: no further call begins; the run gathers what is under way and ends
UPDATE judge.runs SET stop_reason = %(reason)s WHERE id = %(id)s AND status = 'running' AND stop_reason = '' RETURNING *

-- summed_up: what labels change of an outcome
UPDATE judge.runs SET summary = %(summary)s WHERE id = %(id)s RETURNING *

-- lock: whoever labels a run waits for whoever does
SELECT * FROM judge.runs WHERE id = %(id)s FOR UPDATE

-- open_caps: some of those that have ended and whose cap is still open
SELECT * FROM judge.runs WHERE NOT cap_closed AND status NOT IN ('pending', 'running') ORDER BY id LIMIT 20

-- cap_closed: the cap grants nothing any more
UPDATE judge.runs SET cap_closed = true WHERE id = %(id)s

-- waiting: what nobody runs, oldest first
SELECT id FROM judge.runs
WHERE (status = 'pending' AND created_at_us < %(pending_before_us)s) OR (status = 'running' AND alive_at_us < %(silent_before_us)s)
ORDER BY created_at_us LIMIT 10
