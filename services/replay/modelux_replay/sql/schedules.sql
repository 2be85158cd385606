-- lock_organization: whoever creates one waits for whoever does in the same organization
SELECT pg_advisory_xact_lock(hashtextextended('replay.schedules ' || %(organization_id)s, 0))

-- count: how many an organization has
SELECT count(*) AS count FROM replay.schedules WHERE organization_id = %(organization_id)s AND deleted_at_us = 0

-- insert: a new one
INSERT INTO replay.schedules (id, organization_id, project_id, spec, created_at_us, updated_at_us, created_by, next_at_us, reckoned_at_us,
    idempotency_key, request_hash)
VALUES (%(id)s, %(organization_id)s, %(project_id)s, %(spec)s, %(now_us)s, %(now_us)s, %(created_by)s, %(next_at_us)s, %(now_us)s,
    %(idempotency_key)s, %(request_hash)s)

-- by_idempotency_key: what the same request made before
SELECT * FROM replay.schedules
WHERE organization_id = %(organization_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s

-- get: one of an organization
SELECT * FROM replay.schedules WHERE organization_id = %(organization_id)s AND id = %(id)s AND deleted_at_us = 0

-- find: one by its id alone, for whoever fires it
SELECT * FROM replay.schedules WHERE id = %(id)s

-- list: a page, newest first
SELECT * FROM replay.schedules
WHERE organization_id = %(organization_id)s AND (%(project_id)s = '' OR project_id = %(project_id)s) AND deleted_at_us = 0
  AND (%(after)s = '' OR id < %(after)s)
ORDER BY id DESC LIMIT %(limit)s

-- update: another spec, unless somebody changed it meanwhile
UPDATE replay.schedules SET spec = %(spec)s, next_at_us = %(next_at_us)s, reckoned_at_us = %(now_us)s, updated_at_us = %(now_us)s,
    revision = revision + 1
WHERE id = %(id)s AND revision = %(revision)s AND deleted_at_us = 0 RETURNING *

-- delete: it fires no more; its experiments stay
UPDATE replay.schedules SET next_at_us = 0, deleted_at_us = %(now_us)s, updated_at_us = %(now_us)s, revision = revision + 1
WHERE id = %(id)s AND deleted_at_us = 0

-- due: those that are due, or were reckoned by a clock that was ahead; the longest waiting first
SELECT * FROM replay.schedules
WHERE next_at_us > 0 AND (next_at_us <= %(now_us)s OR reckoned_at_us > %(now_us)s + %(ahead_us)s)
ORDER BY next_at_us, id LIMIT %(limit)s

-- reckon: when it is due next, unless somebody changed it meanwhile
UPDATE replay.schedules SET next_at_us = %(next_at_us)s, reckoned_at_us = %(now_us)s
WHERE id = %(id)s AND revision = %(revision)s AND next_at_us = %(was_at_us)s RETURNING id

-- claim: a due moment, once for all
INSERT INTO replay.firings (schedule_id, due_at_us, fired_at_us, experiment_id, error)
VALUES (%(id)s, %(due_at_us)s, %(now_us)s, %(experiment_id)s, %(error)s) ON CONFLICT DO NOTHING RETURNING due_at_us

-- fired: what the claim of a due moment led to
UPDATE replay.schedules SET last_at_us = %(due_at_us)s, last_error = %(error)s, runs = runs + %(made)s, revision = revision + 1
WHERE id = %(id)s AND revision = %(revision)s AND deleted_at_us = 0 RETURNING runs

-- last_runs: of its runs that have ended by then, newest first
SELECT id, verdict FROM replay.experiments
WHERE schedule_id = %(schedule_id)s AND look < %(look)s AND verdict <> '' ORDER BY look DESC LIMIT %(limit)s

-- last_of: the last run of each schedule that has ended
SELECT DISTINCT ON (schedule_id) schedule_id, id, verdict FROM replay.experiments
WHERE schedule_id = ANY (%(ids)s) AND finished_at_us > 0 ORDER BY schedule_id, look DESC
