-- Spend caps and guards of runs. Rows stay after deletion, since accounts of the ledger refer to them.
CREATE TABLE config.budgets (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    -- Empty: all of the organization.
    project_id text NOT NULL DEFAULT '',
    name text NOT NULL,
    scope text NOT NULL CHECK (scope IN (
        'organization', 'project', 'key', 'tag', 'end_user', 'provider', 'model', 'experiment', 'judge_run')),
    scope_key text NOT NULL DEFAULT '',
    "each" boolean NOT NULL DEFAULT false,
    -- Nano-USD; null: no limit, as with the other two.
    cap_nano bigint CHECK (cap_nano > 0),
    max_calls bigint CHECK (max_calls > 0),
    max_duration_s bigint CHECK (max_duration_s > 0),
    action text NOT NULL CHECK (action IN ('block', 'downgrade', 'alert')),
    downgrade_to text NOT NULL DEFAULT '',
    downgrade_at_ppm bigint NOT NULL DEFAULT 0 CHECK (downgrade_at_ppm BETWEEN 0 AND 1000000),
    loop_calls integer NOT NULL DEFAULT 0 CHECK (loop_calls >= 0),
    period text NOT NULL CHECK (period IN ('total', 'hour', 'day', 'week', 'month')),
    time_zone text NOT NULL,
    period_start integer NOT NULL,
    alert_percents integer[] NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL,
    -- 0: in use.
    deleted_at_us bigint NOT NULL DEFAULT 0,
    CHECK (num_nonnulls(cap_nano, max_calls, max_duration_s) > 0)
);
CREATE UNIQUE INDEX budgets_name ON config.budgets (organization_id, lower(name)) WHERE deleted_at_us = 0;

CREATE CONSTRAINT TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON config.budgets DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION config.require_audit();
