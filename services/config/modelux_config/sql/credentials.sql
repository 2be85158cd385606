-- list: a page in order of creation
SELECT * FROM config.credentials WHERE organization_id = %(organization_id)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- get: one credential
SELECT * FROM config.credentials WHERE organization_id = %(organization_id)s AND id = %(id)s

-- usable: those that a project may call through
SELECT id, provider, models FROM config.credentials
WHERE organization_id = %(organization_id)s AND (cardinality(project_ids) = 0 OR %(project_id)s = ANY (project_ids)) ORDER BY id

-- by_name: whatever the case
SELECT * FROM config.credentials WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s)

-- same_name: another credential of that name
SELECT id FROM config.credentials WHERE organization_id = %(organization_id)s AND lower(name) = lower(%(name)s) AND id <> %(id)s

-- insert: a new credential
INSERT INTO config.credentials (
    id, organization_id, name, provider, base_url, sealed_secret, secret_hint, models, project_ids, allow_private, created_at_us,
    updated_at_us
) VALUES (
    %(id)s, %(organization_id)s, %(name)s, %(provider)s, %(base_url)s, %(sealed_secret)s, %(secret_hint)s, %(models)s, %(project_ids)s,
    %(allow_private)s, %(now_us)s, %(now_us)s
)

-- update: everything that may change
UPDATE config.credentials
SET name = %(name)s, base_url = %(base_url)s, secret_hint = %(secret_hint)s, models = %(models)s, project_ids = %(project_ids)s,
    allow_private = %(allow_private)s, updated_at_us = %(now_us)s,
    sealed_secret = CASE WHEN %(keep_secret)s THEN sealed_secret ELSE %(sealed_secret)s END
WHERE organization_id = %(organization_id)s AND id = %(id)s

-- delete: one credential
DELETE FROM config.credentials WHERE organization_id = %(organization_id)s AND id = %(id)s
