-- list: a page in order of creation; the caps of runs only where their scope is asked for
SELECT * FROM config.budgets
WHERE organization_id = %(organization_id)s AND deleted_at_us = 0 AND (%(project_id)s = '' OR project_id = %(project_id)s)
  AND ((%(of_scope)s = '' AND NOT spend_cap) OR scope = %(of_scope)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- get: one budget
SELECT * FROM config.budgets WHERE organization_id = %(organization_id)s AND id = %(id)s AND deleted_at_us = 0

-- all: those in force that may hold for a project; for "" those of every project. Caps of runs only where the run is named.
SELECT * FROM config.budgets
WHERE organization_id = %(organization_id)s AND deleted_at_us = 0 AND NOT disabled
  AND (NOT spend_cap OR (scope, scope_key) IN (('experiment', %(experiment_id)s), ('judge_run', %(judge_run_id)s)))
  AND (%(project_id)s = '' OR project_id IN ('', %(project_id)s))
ORDER BY id LIMIT 1000

-- same_name: another budget of that name
SELECT id FROM config.budgets
WHERE organization_id = %(organization_id)s AND deleted_at_us = 0 AND NOT spend_cap AND lower(name) = lower(%(name)s)
  AND id <> %(id)s

-- count: how many there are that proxies match
SELECT count(*) AS budgets FROM config.budgets
WHERE organization_id = %(organization_id)s AND deleted_at_us = 0 AND NOT spend_cap

-- insert: a new budget
INSERT INTO config.budgets (
    id, organization_id, project_id, name, scope, scope_key, "each", cap_nano, max_calls, max_duration_s, action, downgrade_to,
    downgrade_at_ppm, loop_calls, period, time_zone, period_start, alert_percents, disabled, spend_cap, created_by, created_at_us,
    updated_at_us
) VALUES (
    %(id)s, %(organization_id)s, %(project_id)s, %(name)s, %(scope)s, %(scope_key)s, %(each)s, %(cap_nano)s, %(max_calls)s,
    %(max_duration_s)s, %(action)s, %(downgrade_to)s, %(downgrade_at_ppm)s, %(loop_calls)s, %(period)s, %(time_zone)s,
    %(period_start)s, %(alert_percents)s, %(disabled)s, %(spend_cap)s, %(created_by)s, %(now_us)s, %(now_us)s
)

-- update: everything that may change
UPDATE config.budgets
SET name = %(name)s, cap_nano = %(cap_nano)s, max_calls = %(max_calls)s, max_duration_s = %(max_duration_s)s, action = %(action)s,
    downgrade_to = %(downgrade_to)s, downgrade_at_ppm = %(downgrade_at_ppm)s, loop_calls = %(loop_calls)s,
    alert_percents = %(alert_percents)s, disabled = %(disabled)s, updated_at_us = %(now_us)s
WHERE organization_id = %(organization_id)s AND id = %(id)s AND deleted_at_us = 0

-- delete: no more grants; the row stays for its accounts
UPDATE config.budgets SET deleted_at_us = %(now_us)s
WHERE organization_id = %(organization_id)s AND id = %(id)s AND deleted_at_us = 0

-- recall: let spenders return what they hold of the budget
SELECT pg_notify('ledger_recall', json_build_object('budget', %(id)s::text)::text)

-- clock: the ledger's time
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us

-- accounts: of the current window, the values that spent most first, the accounts of one value together
SELECT * FROM (
    SELECT spent.*, row_number() OVER (ORDER BY most DESC, value, unit DESC) AS position
    FROM (
        SELECT a.*, max(settled + leased) OVER (PARTITION BY value) AS most FROM ledger.account a
        WHERE budget_id = %(id)s AND window_start_us = %(window_start_us)s AND (%(value)s = '' OR value = %(value)s)
    ) spent
) ranked WHERE position > %(after)s::bigint ORDER BY position LIMIT %(limit)s

-- accounts_of: of one value in one window
SELECT * FROM ledger.account
WHERE budget_id = %(id)s AND value = %(value)s AND window_start_us = %(window_start_us)s ORDER BY unit DESC

-- history: of all windows, the newest first; one value, or ("") all
SELECT * FROM (
    SELECT a.*, row_number() OVER (ORDER BY window_start_us DESC, value, unit) AS position
    FROM ledger.account a
    WHERE budget_id = %(id)s AND window_start_us >= %(start_us)s AND (%(end_us)s = 0 OR window_start_us < %(end_us)s)
      AND (%(value)s = '' OR value = %(value)s)
) ranked WHERE position > %(after)s::bigint ORDER BY position LIMIT %(limit)s

-- denials: the newest of one value ("": of any)
SELECT budget_id, value, unit, at_us, reason, needed, cap, settled, leased, window_start_us, resets_at_us, replica_id, op_id
FROM ledger.denial WHERE budget_id = %(id)s AND (%(value)s = '' OR value = %(value)s) ORDER BY number DESC LIMIT 10

-- credentials: all of the organization, with the models they name
SELECT id, provider, models FROM config.credentials WHERE organization_id = %(organization_id)s ORDER BY id

-- downgrading: budgets that downgrade to a slug, or to a version of it
SELECT id, name FROM config.budgets
WHERE organization_id = %(organization_id)s AND project_id = %(project_id)s AND deleted_at_us = 0
  AND split_part(downgrade_to, ':', 1) = '@' || %(slug)s ORDER BY id

-- spend_cap: of one experiment or judge run, in force or ended
SELECT * FROM config.budgets
WHERE organization_id = %(organization_id)s AND spend_cap AND scope = %(scope)s AND scope_key = %(scope_key)s

-- spend_cap_by_id: the same by its own id
SELECT * FROM config.budgets WHERE organization_id = %(organization_id)s AND spend_cap AND id = %(id)s

-- end_spend_cap: no more grants; the row stays for its accounts
UPDATE config.budgets SET disabled = true, updated_at_us = %(now_us)s
WHERE organization_id = %(organization_id)s AND spend_cap AND id = %(id)s

-- spent: of a budget that has one account in dollars; none before the first grant
SELECT settled, leased FROM ledger.account WHERE budget_id = %(id)s AND unit = 'usd'
