-- list: a page in order of creation, each with the policy of its active version
SELECT c.*, v.policy, v.policy_type
FROM config.routing_configs c
JOIN config.routing_config_versions v ON v.routing_config_id = c.id AND v.version = c.active_version
WHERE c.organization_id = %(organization_id)s
  AND (%(project_id)s = '' OR c.project_id = %(project_id)s)
  AND (%(include_archived)s OR NOT c.archived)
  AND (%(slug)s = '' OR c.slug = %(slug)s)
  AND c.id > %(after)s
ORDER BY c.id LIMIT %(limit)s

-- get: one routing config with the policy of its active version
SELECT c.*, v.policy, v.policy_type
FROM config.routing_configs c
JOIN config.routing_config_versions v ON v.routing_config_id = c.id AND v.version = c.active_version
WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s

-- by_slug: whether the project has it
SELECT id FROM config.routing_configs
WHERE organization_id = %(organization_id)s AND project_id = %(project_id)s AND slug = %(slug)s

-- insert: a new slug that points at version 1
INSERT INTO config.routing_configs (
    id, organization_id, project_id, slug, description, active_version, latest_version, created_at_us, updated_at_us
) VALUES (%(id)s, %(organization_id)s, %(project_id)s, %(slug)s, %(description)s, 1, 1, %(now_us)s, %(now_us)s)

-- update: everything that may change, and the next revision
UPDATE config.routing_configs
SET description = %(description)s, active_version = %(active_version)s, latest_version = %(latest_version)s, archived = %(archived)s,
    revision = revision + 1, updated_at_us = %(now_us)s
WHERE organization_id = %(organization_id)s AND id = %(id)s

-- delete: with its versions
DELETE FROM config.routing_configs WHERE organization_id = %(organization_id)s AND id = %(id)s
