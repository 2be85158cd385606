-- insert: a new experiment
INSERT INTO replay.experiments (id, organization_id, project_id, spec, candidate_reference, policy, configuration, window_start_us,
    window_end_us, seed, status, created_at_us, created_by, idempotency_key, request_hash, budget_id,
    schedule_id, look)
VALUES (%(id)s, %(organization_id)s, %(project_id)s, %(spec)s, %(candidate_reference)s, %(policy)s, %(configuration)s,
    %(window_start_us)s, %(window_end_us)s, %(seed)s, 'pending', %(now_us)s, %(created_by)s, %(idempotency_key)s, %(request_hash)s,
    %(budget_id)s, %(schedule_id)s, %(look)s)

-- get: one of an organization
SELECT * FROM replay.experiments WHERE organization_id = %(organization_id)s AND id = %(id)s

-- find: one by its id alone, for whoever runs it
SELECT * FROM replay.experiments WHERE id = %(id)s

-- by_idempotency_key: what the same request made before
SELECT * FROM replay.experiments
WHERE organization_id = %(organization_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s

-- list: a page, newest first
SELECT * FROM replay.experiments
WHERE organization_id = %(organization_id)s AND (%(project_id)s = '' OR project_id = %(project_id)s)
  AND (%(status)s = '' OR status = %(status)s) AND (%(schedule_id)s = '' OR schedule_id = %(schedule_id)s)
  AND (%(after)s = '' OR id < %(after)s)
ORDER BY id DESC LIMIT %(limit)s

-- lock_organization: whoever creates one waits for whoever does in the same organization
SELECT pg_advisory_xact_lock(hashtextextended('replay.experiments ' || %(organization_id)s, 0))

-- at_work: how many of an organization wait or run
SELECT count(*) AS count FROM replay.experiments
WHERE organization_id = %(organization_id)s AND status IN ('pending', 'running')

-- transition: to another status, unless somebody was there first
UPDATE replay.experiments SET status = %(status)s, status_reason = %(reason)s, revision = revision + 1,
    finished_at_us = %(finished_at_us)s, summary = %(summary)s,
    verdict = %(verdict)s, verdict_facts = %(verdict_facts)s
WHERE id = %(id)s AND revision = %(revision)s RETURNING *

-- claim: this process runs it from now on
UPDATE replay.experiments SET status = 'running', epoch = epoch + 1, revision = revision + 1, rows_done = 0,
    started_at_us = CASE WHEN started_at_us = 0 THEN %(now_us)s ELSE started_at_us END, alive_at_us = %(now_us)s
WHERE id = %(id)s AND (status = 'pending' OR (status = 'running' AND alive_at_us < %(silent_before_us)s)) RETURNING *

-- progress: a sign of life of the process that runs it; no row where it may not go on
UPDATE replay.experiments SET rows_total = %(rows_total)s, rows_done = %(rows_done)s, alive_at_us = %(now_us)s,
    spent_nano = greatest(spent_nano, %(spent_nano)s)
WHERE id = %(id)s AND epoch = %(epoch)s AND status = 'running' RETURNING id

-- stop: no further call begins; the run gathers what is under way and ends
UPDATE replay.experiments SET stop_reason = %(reason)s
WHERE id = %(id)s AND status = 'running' AND stop_reason = '' RETURNING *

-- stop_reason: why no further call may begin, of one that runs; no row where it does not
SELECT stop_reason FROM replay.experiments
WHERE id = %(id)s AND status = 'running' AND (%(organization_id)s = '' OR organization_id = %(organization_id)s)

-- open_caps: caps of what has ended
SELECT * FROM replay.experiments
WHERE budget_id <> '' AND NOT cap_closed AND status NOT IN ('pending', 'running') ORDER BY id LIMIT 20

-- cap_closed: the cap grants nothing any more
UPDATE replay.experiments SET cap_closed = true, spent_nano = greatest(spent_nano, %(spent_nano)s) WHERE id = %(id)s

-- waiting: what nobody runs, oldest first
SELECT id FROM replay.experiments
WHERE (status = 'pending' AND created_at_us < %(pending_before_us)s) OR (status = 'running' AND alive_at_us < %(silent_before_us)s)
ORDER BY created_at_us LIMIT 10

-- promotions: of one experiment, oldest first
SELECT * FROM replay.promotions WHERE experiment_id = %(id)s ORDER BY at_us

-- promotion: the one that this request would repeat
SELECT * FROM replay.promotions WHERE experiment_id = %(id)s AND routing_config_id = %(routing_config_id)s
  AND mode = %(mode)s AND weight = %(weight)s

-- promoted: that it was done
INSERT INTO replay.promotions (experiment_id, routing_config_id, slug, version, mode, weight, at_us, actor)
VALUES (%(id)s, %(routing_config_id)s, %(slug)s, %(version)s, %(mode)s, %(weight)s, %(now_us)s, %(actor)s)
ON CONFLICT DO NOTHING
