-- begin: the time, the asker's life, the budgets named, and what came of the ask before. The life cannot end meanwhile.
SELECT clock.now_us, r.epoch, r.heard_us,
    (SELECT count(*) FROM ledger.replica WHERE heard_us > clock.now_us - %(live_us)s) AS live_replicas,
    (SELECT jsonb_agg(b) FROM config.budgets b WHERE id = ANY (%(budget_ids)s)) AS budgets,
    (SELECT to_jsonb(o) FROM ledger.grant_op o WHERE op_id = %(op_id)s) AS op
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us) clock
LEFT JOIN (SELECT epoch, heard_us FROM ledger.replica WHERE replica_id = %(replica_id)s FOR KEY SHARE) r ON true

-- begin_alone: the time and the life of a replica, locked against everything it does
SELECT clock.now_us, r.epoch, r.heard_us
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us) clock
LEFT JOIN (SELECT epoch, heard_us FROM ledger.replica WHERE replica_id = %(replica_id)s FOR UPDATE) r ON true

-- budgets: the terms of some
SELECT * FROM config.budgets WHERE id = ANY (%(budget_ids)s)

-- accounts: lock some, in the one order that everybody keeps to
SELECT a.* FROM ledger.account a
JOIN unnest(%(budget_ids)s::text[], %(values)s::text[], %(units)s::text[], %(starts)s::bigint[])
    AS w (budget_id, value, unit, window_start_us) USING (budget_id, value, unit, window_start_us)
ORDER BY a.budget_id, a.value, a.unit, a.window_start_us FOR NO KEY UPDATE OF a

-- open_accounts: make those that are missing, in the same order
INSERT INTO ledger.account (budget_id, value, unit, window_start_us, window_end_us, cap, hard, started_us)
SELECT budget_id, value, unit, window_start_us, window_end_us, cap, hard, started_us
FROM jsonb_to_recordset(%(accounts)s::jsonb) AS n (
    budget_id text, value text, unit text, window_start_us bigint, window_end_us bigint, cap bigint, hard boolean, started_us bigint)
ORDER BY budget_id, value, unit, window_start_us
ON CONFLICT DO NOTHING

-- leases: by name
SELECT * FROM ledger.lease WHERE lease_id = ANY (%(lease_ids)s)

-- leases_of: the active ones of a replica
SELECT * FROM ledger.lease WHERE replica_id = %(replica_id)s AND state = 'active'

-- ops: what came of some asks
SELECT * FROM ledger.grant_op WHERE op_id = ANY (%(op_ids)s)

-- save: all rows that an operation changed
WITH accounts AS (
    UPDATE ledger.account a
    SET cap = n.cap, hard = n.hard, settled = n.settled, leased = n.leased, unknown = n.unknown, forfeited = n.forfeited,
        overrun = n.overrun, cap_cut = n.cap_cut, alerted_ppm = n.alerted_ppm, exceeded = n.exceeded, aborted = n.aborted
    FROM jsonb_to_recordset(%(accounts)s::jsonb) AS n (
        budget_id text, value text, unit text, window_start_us bigint, cap bigint, hard boolean, settled bigint, leased bigint,
        unknown bigint, forfeited bigint, overrun bigint, cap_cut bigint, alerted_ppm bigint, exceeded boolean, aborted boolean)
    WHERE (a.budget_id, a.value, a.unit, a.window_start_us) = (n.budget_id, n.value, n.unit, n.window_start_us)
), leases AS (
    INSERT INTO ledger.lease (lease_id, budget_id, value, unit, window_start_us, replica_id, epoch, granted, settled, unknown,
        overrun, state, changed_us)
    SELECT n.lease_id, n.budget_id, n.value, n.unit, n.window_start_us, n.replica_id, n.epoch, n.granted, n.settled, n.unknown,
        n.overrun, n.state, %(now_us)s
    FROM jsonb_to_recordset(%(leases)s::jsonb) AS n (
        lease_id text, budget_id text, value text, unit text, window_start_us bigint, replica_id text, epoch bigint,
        granted bigint, settled bigint, unknown bigint, overrun bigint, state text)
    ON CONFLICT (lease_id) DO UPDATE SET granted = excluded.granted, settled = excluded.settled, unknown = excluded.unknown,
        overrun = excluded.overrun, state = excluded.state, changed_us = excluded.changed_us
), ops AS (
    INSERT INTO ledger.grant_op (op_id, replica_id, at_us, leases, reason, short)
    SELECT op_id, replica_id, at_us, leases, reason, short
    FROM jsonb_to_recordset(%(ops)s::jsonb) AS n (
        op_id text, replica_id text, at_us bigint, leases integer, reason text, short integer)
)
INSERT INTO ledger.replica (replica_id, epoch, heard_us)
SELECT replica_id, epoch, heard_us
FROM jsonb_to_recordset(%(replicas)s::jsonb) AS n (replica_id text, epoch bigint, heard_us bigint)
ON CONFLICT (replica_id) DO UPDATE SET epoch = excluded.epoch, heard_us = excluded.heard_us

-- deny: remember who was denied, and why
INSERT INTO ledger.denial (budget_id, value, unit, at_us, reason, needed, cap, settled, leased, window_start_us, resets_at_us,
    replica_id, op_id)
VALUES (%(budget_id)s, %(value)s, %(unit)s, %(at_us)s, %(reason)s, %(needed)s, %(cap)s, %(settled)s, %(leased)s,
    %(window_start_us)s, %(resets_at_us)s, %(replica_id)s, %(op_id)s)

-- recall: tell every config service that a replica is short
SELECT pg_notify('ledger_recall', %(notice)s)

-- held: what is leased of a budget
SELECT DISTINCT budget_id, value, unit FROM ledger.lease WHERE state = 'active' AND budget_id = %(budget_id)s LIMIT 10000

-- silent: replicas that hold leases and were not heard of
SELECT r.replica_id FROM ledger.replica r
WHERE r.heard_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - %(silent_us)s
  AND EXISTS (SELECT FROM ledger.lease l WHERE l.replica_id = r.replica_id AND l.state = 'active')
ORDER BY r.heard_us LIMIT 20

-- prune_ops: granted ones after 8 days, denied ones after an hour
DELETE FROM ledger.grant_op WHERE op_id IN (
    SELECT op_id FROM ledger.grant_op
    WHERE at_us < %(day_8_us)s OR (reason IS NOT NULL AND at_us < %(hour_us)s) LIMIT 10000)

-- prune_leases: ended ones after 8 days; their accounts keep the sums
DELETE FROM ledger.lease WHERE lease_id IN (
    SELECT lease_id FROM ledger.lease WHERE state <> 'active' AND changed_us < %(day_8_us)s LIMIT 10000)

-- prune_denials: after 8 days, and all but the newest hundred of a value
DELETE FROM ledger.denial WHERE number IN (
    SELECT number FROM (
        SELECT number, at_us, row_number() OVER (PARTITION BY budget_id, value ORDER BY number DESC) AS place FROM ledger.denial
    ) d WHERE place > 100 OR at_us < %(day_8_us)s LIMIT 10000)

-- prune_replicas: forgotten after 8 days, where they hold nothing
DELETE FROM ledger.replica r WHERE heard_us < %(day_8_us)s
  AND NOT EXISTS (SELECT FROM ledger.lease l WHERE l.replica_id = r.replica_id AND l.state = 'active')
