-- actives: what every slug of a project means now
SELECT c.id, c.slug, v.version, v.policy
FROM config.routing_configs c
JOIN config.routing_config_versions v ON v.routing_config_id = c.id AND v.version = c.active_version
WHERE c.organization_id = %(organization_id)s AND c.project_id = %(project_id)s AND NOT c.archived
ORDER BY c.slug

-- all_actives: the same for every project of the organization
SELECT c.id, c.slug, v.version, v.policy
FROM config.routing_configs c
JOIN config.routing_config_versions v ON v.routing_config_id = c.id AND v.version = c.active_version
WHERE c.organization_id = %(organization_id)s AND NOT c.archived
ORDER BY c.slug

-- pinned: one version by slug; of an archived config only where it asks for itself, to be restored
SELECT v.version, v.policy
FROM config.routing_configs c JOIN config.routing_config_versions v ON v.routing_config_id = c.id
WHERE c.organization_id = %(organization_id)s AND c.project_id = %(project_id)s AND c.slug = %(slug)s AND v.version = %(version)s
  AND (NOT c.archived OR c.slug = %(own_slug)s)

-- keys_bound: keys in force that may use the slug alone or among others
SELECT id, name FROM config.proxy_keys
WHERE organization_id = %(organization_id)s AND project_id = %(project_id)s AND revoked_at_us = 0
  AND EXISTS (SELECT FROM unnest(allowed_models) AS m WHERE m = '@' || %(slug)s OR m LIKE '@' || replace(%(slug)s, '_', '\_') || ':%%')
ORDER BY id

-- list: a page, newest first
SELECT v.* FROM config.routing_config_versions v JOIN config.routing_configs c ON c.id = v.routing_config_id
WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s AND v.version < %(after)s::integer
ORDER BY v.version DESC LIMIT %(limit)s

-- get: one version
SELECT v.* FROM config.routing_config_versions v JOIN config.routing_configs c ON c.id = v.routing_config_id
WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s AND v.version = %(version)s

-- insert: a new version
INSERT INTO config.routing_config_versions (routing_config_id, version, policy, policy_type, note, created_by, created_at_us)
SELECT c.id, %(version)s, %(policy)s, %(policy_type)s, %(note)s, %(created_by)s, %(now_us)s
FROM config.routing_configs c WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s

-- push_activation: what is active from now on
INSERT INTO config.routing_config_activations (routing_config_id, position, version)
SELECT c.id, coalesce((SELECT max(position) FROM config.routing_config_activations WHERE routing_config_id = c.id), 0) + 1, %(version)s
FROM config.routing_configs c WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s

-- activation_before: what was active before the present version
SELECT a.version FROM config.routing_config_activations a JOIN config.routing_configs c ON c.id = a.routing_config_id
WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s ORDER BY a.position DESC OFFSET 1 LIMIT 1

-- pop_activation: the present version was rolled back
DELETE FROM config.routing_config_activations a USING config.routing_configs c
WHERE c.id = a.routing_config_id AND c.organization_id = %(organization_id)s AND c.id = %(id)s
  AND a.position = (SELECT max(position) FROM config.routing_config_activations WHERE routing_config_id = c.id)
