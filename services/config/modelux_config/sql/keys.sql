-- find_management_key: a management key in force, with its organization
SELECT k.id, k.name, k.role, k.organization_id, o.name AS organization_name
FROM config.management_keys k JOIN config.organizations o ON o.id = k.organization_id
WHERE k.hash = %(hash)s AND k.revoked_at_us = 0 AND (k.expires_at_us = 0 OR k.expires_at_us > %(now_us)s)

-- list_proxy_keys: a page in order of creation
SELECT id, project_id, name, prefix, expires_at_us, requests_per_minute, tokens_per_minute, allowed_models, created_at_us, revoked_at_us
FROM config.proxy_keys
WHERE organization_id = %(organization_id)s AND (%(project_id)s = '' OR project_id = %(project_id)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- get_proxy_key: one key
SELECT id, project_id, name, prefix, expires_at_us, requests_per_minute, tokens_per_minute, allowed_models, created_at_us, revoked_at_us
FROM config.proxy_keys WHERE organization_id = %(organization_id)s AND id = %(id)s

-- proxy_key_by_hash: whether a key is registered, in any organization
SELECT id, organization_id, revoked_at_us FROM config.proxy_keys WHERE hash = %(hash)s

-- insert_proxy_key: a new key
INSERT INTO config.proxy_keys (
    id, organization_id, project_id, name, hash, prefix, expires_at_us, requests_per_minute, tokens_per_minute, allowed_models,
    created_at_us
) VALUES (
    %(id)s, %(organization_id)s, %(project_id)s, %(name)s, %(hash)s, %(prefix)s, %(expires_at_us)s, %(requests_per_minute)s,
    %(tokens_per_minute)s, %(allowed_models)s, %(now_us)s
)

-- update_proxy_key: everything that may change
UPDATE config.proxy_keys
SET name = %(name)s, expires_at_us = %(expires_at_us)s, requests_per_minute = %(requests_per_minute)s,
    tokens_per_minute = %(tokens_per_minute)s, allowed_models = %(allowed_models)s
WHERE organization_id = %(organization_id)s AND id = %(id)s

-- revoke_proxy_key: final
UPDATE config.proxy_keys SET revoked_at_us = %(now_us)s WHERE organization_id = %(organization_id)s AND id = %(id)s

-- list_management_keys: a page in order of creation
SELECT id, organization_id, name, prefix, role, expires_at_us, created_at_us, revoked_at_us FROM config.management_keys
WHERE organization_id = %(organization_id)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- get_management_key: one key
SELECT id, organization_id, name, prefix, role, expires_at_us, created_at_us, revoked_at_us FROM config.management_keys
WHERE organization_id = %(organization_id)s AND id = %(id)s

-- management_key_by_hash: whether a key is registered, in any organization
SELECT id, organization_id, revoked_at_us FROM config.management_keys WHERE hash = %(hash)s

-- other_owners: owners in force beside this one that do not expire
SELECT id FROM config.management_keys
WHERE organization_id = %(organization_id)s AND id <> %(id)s AND role = 'owner' AND revoked_at_us = 0 AND expires_at_us = 0 LIMIT 1

-- insert_management_key: a new key
INSERT INTO config.management_keys (id, organization_id, name, hash, prefix, role, expires_at_us, created_at_us)
VALUES (%(id)s, %(organization_id)s, %(name)s, %(hash)s, %(prefix)s, %(role)s, %(expires_at_us)s, %(now_us)s)

-- revoke_management_key: final
UPDATE config.management_keys SET revoked_at_us = %(now_us)s WHERE organization_id = %(organization_id)s AND id = %(id)s
