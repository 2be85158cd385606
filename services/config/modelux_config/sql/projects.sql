-- list: a page in order of creation
SELECT * FROM config.projects WHERE organization_id = %(organization_id)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- get: one project
SELECT * FROM config.projects WHERE organization_id = %(organization_id)s AND id = %(id)s

-- by_name: whatever the case
SELECT * FROM config.projects WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s)

-- same_name: another project of that name
SELECT id FROM config.projects WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s) AND id <> %(id)s

-- insert: a new project
INSERT INTO config.projects (
    id, organization_id, name, logging_mode, default_max_tokens, experiment_spend_cap_nano, judge_spend_cap_nano,
    experiment_sample_min, experiment_sample_max, created_at_us, updated_at_us
) VALUES (
    %(id)s, %(organization_id)s, %(name)s, %(logging_mode)s, %(default_max_tokens)s, %(experiment_spend_cap_nano)s,
    %(judge_spend_cap_nano)s, %(experiment_sample_min)s, %(experiment_sample_max)s, %(now_us)s, %(now_us)s
)

-- update: everything that may change
UPDATE config.projects
SET name = %(name)s, logging_mode = %(logging_mode)s, default_max_tokens = %(default_max_tokens)s,
    experiment_spend_cap_nano = %(experiment_spend_cap_nano)s, judge_spend_cap_nano = %(judge_spend_cap_nano)s,
    experiment_sample_min = %(experiment_sample_min)s, experiment_sample_max = %(experiment_sample_max)s, updated_at_us = %(now_us)s
WHERE organization_id = %(organization_id)s AND id = %(id)s

-- users: what keeps a project from being deleted
SELECT 'proxy_key' AS kind, id, name FROM config.proxy_keys
WHERE organization_id = %(organization_id)s AND project_id = %(id)s AND revoked_at_us = 0
UNION ALL
SELECT 'routing_config', id, '@' || slug FROM config.routing_configs
WHERE organization_id = %(organization_id)s AND project_id = %(id)s
UNION ALL
SELECT 'credential', id, name FROM config.credentials
WHERE organization_id = %(organization_id)s AND %(id)s = ANY (project_ids)
UNION ALL
SELECT 'budget', id, name FROM config.budgets
WHERE organization_id = %(organization_id)s AND project_id = %(id)s AND deleted_at_us = 0 AND NOT (spend_cap AND disabled)
ORDER BY 1, 2 LIMIT 50

-- forget_keys: revoked keys go with their project
DELETE FROM config.proxy_keys WHERE organization_id = %(organization_id)s AND project_id = %(id)s AND revoked_at_us > 0

-- delete: one project
DELETE FROM config.projects WHERE organization_id = %(organization_id)s AND id = %(id)s
