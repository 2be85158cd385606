-- lock_all: one launcher at a time
SELECT pg_advisory_xact_lock(hashtext('modelux config bootstrap'))

-- by_name: whatever the case
SELECT id, name FROM config.organizations WHERE lower(name) = lower(%(name)s)

-- insert: a new organization
INSERT INTO config.organizations (id, name, created_at_us) VALUES (%(id)s, %(name)s, %(now_us)s)
