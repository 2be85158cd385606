-- insert: a new one; nothing where another one runs on the same routing config
INSERT INTO replay.rollouts (id, organization_id, project_id, experiment_id, routing_config_id, slug, spec, policy, base_version, version,
    percent, standing, wanted, wanted_reason, created_at_us, updated_at_us, created_by, idempotency_key, request_hash)
VALUES (%(id)s, %(organization_id)s, %(project_id)s, %(experiment_id)s, %(routing_config_id)s, %(slug)s, %(spec)s, %(policy)s,
    %(base_version)s, %(version)s, %(percent)s, %(standing)s, 'step', %(wanted_reason)s, %(created_at_us)s, %(created_at_us)s,
    %(created_by)s, %(idempotency_key)s, %(request_hash)s)
ON CONFLICT (routing_config_id) WHERE status = 'running' DO NOTHING RETURNING *

-- running_on: the one that runs on a routing config
SELECT * FROM replay.rollouts WHERE routing_config_id = %(routing_config_id)s AND status = 'running'

-- by_idempotency_key: what the same request made before
SELECT * FROM replay.rollouts
WHERE organization_id = %(organization_id)s AND created_by = %(created_by)s AND idempotency_key = %(idempotency_key)s

-- get: one of an organization
SELECT * FROM replay.rollouts WHERE organization_id = %(organization_id)s AND id = %(id)s

-- list: a page, newest first
SELECT * FROM replay.rollouts
WHERE organization_id = %(organization_id)s AND (%(project_id)s = '' OR project_id = %(project_id)s) AND (%(after)s = '' OR id < %(after)s)
ORDER BY id DESC LIMIT %(limit)s

-- steps: of some rollouts, oldest first
SELECT * FROM replay.rollout_steps WHERE rollout_id = ANY (%(ids)s) ORDER BY rollout_id, at_us, percent

-- due: those that run and that nobody holds; a claim far ahead was made by a clock that was set back since
SELECT id FROM replay.rollouts
WHERE status = 'running' AND (claimed_until_us <= %(now_us)s OR claimed_until_us > %(now_us)s + %(ahead_us)s) ORDER BY claimed_until_us, id

-- claim: for one process, for a while
UPDATE replay.rollouts SET epoch = epoch + 1, claimed_until_us = %(until_us)s
WHERE id = %(id)s AND status = 'running' AND (claimed_until_us <= %(now_us)s OR claimed_until_us > %(now_us)s + %(ahead_us)s) RETURNING *

-- update: what the holder of the claim found, and who may look next
UPDATE replay.rollouts SET status = %(status)s, status_reason = %(status_reason)s, version = %(version)s, percent = %(percent)s,
    position = %(position)s, standing = %(standing)s, wanted = %(wanted)s, wanted_reason = %(wanted_reason)s,
    wanted_requests = %(wanted_requests)s, claimed_until_us = %(claimed_until_us)s, updated_at_us = %(updated_at_us)s
WHERE id = %(id)s AND epoch = %(epoch)s AND status = 'running' RETURNING *

-- add_step: into its history
INSERT INTO replay.rollout_steps (rollout_id, at_us, percent, version, reason, requests)
VALUES (%(id)s, %(now_us)s, %(percent)s, %(version)s, %(reason)s, %(requests)s)

-- made: whether a version splits the traffic with the candidate of an experiment
SELECT version FROM replay.promotions
WHERE experiment_id = %(experiment_id)s AND routing_config_id = %(routing_config_id)s AND version = %(version)s AND mode = 'ab_test'
UNION ALL
SELECT s.version FROM replay.rollout_steps s JOIN replay.rollouts r ON r.id = s.rollout_id
WHERE r.experiment_id = %(experiment_id)s AND r.routing_config_id = %(routing_config_id)s AND s.version = %(version)s
    AND s.percent BETWEEN 1 AND 99
LIMIT 1
