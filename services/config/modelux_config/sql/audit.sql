-- last: the end of an organization's chain
SELECT sequence, hash FROM config.audit WHERE organization_id = %(organization_id)s ORDER BY sequence DESC LIMIT 1

-- insert: one entry
INSERT INTO config.audit (
    organization_id, sequence, at_us, actor, action, entity, entity_id, project_id, before_json, after_json, request_id,
    snapshot_version, previous_hash, hash
) VALUES (
    %(organization_id)s, %(sequence)s, %(at_us)s, %(actor)s, %(action)s, %(entity)s, %(entity_id)s, %(project_id)s, %(before_json)s,
    %(after_json)s, %(request_id)s, %(snapshot_version)s, %(previous_hash)s, %(hash)s
)

-- walk: the chain in order, a batch at a time
SELECT * FROM config.audit WHERE organization_id = %(organization_id)s AND sequence > %(after)s ORDER BY sequence LIMIT %(limit)s

-- list: a page, newest first
SELECT * FROM config.audit
WHERE organization_id = %(organization_id)s
  AND sequence < %(after)s::bigint
  AND (%(entity)s = '' OR entity = %(entity)s)
  AND (%(entity_id)s = '' OR entity_id = %(entity_id)s)
  AND (%(actor)s = '' OR actor = %(actor)s)
  AND (%(action)s = '' OR action = %(action)s)
  AND at_us >= %(start_us)s AND (%(end_us)s = 0 OR at_us < %(end_us)s)
ORDER BY sequence DESC LIMIT %(limit)s
