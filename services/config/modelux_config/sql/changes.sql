-- lock_organization: one writer per organization
SELECT id FROM config.organizations WHERE id = %(organization_id)s FOR NO KEY UPDATE

-- raise_version: the next snapshot version, without gaps
UPDATE config.snapshot_version SET version = version + 1 RETURNING version

-- find_answer: what an idempotency key was used for
SELECT operation, request_hash, sealed_response FROM config.idempotency
WHERE organization_id = %(organization_id)s AND key_id = %(key_id)s AND idempotency_key = %(idempotency_key)s

-- keep_answer: remember an answer for a day
INSERT INTO config.idempotency (organization_id, key_id, idempotency_key, operation, request_hash, sealed_response, created_at_us)
VALUES (%(organization_id)s, %(key_id)s, %(idempotency_key)s, %(operation)s, %(request_hash)s, %(sealed_response)s, %(now_us)s)

-- forget_answers: a day is over
DELETE FROM config.idempotency WHERE created_at_us < %(before_us)s
