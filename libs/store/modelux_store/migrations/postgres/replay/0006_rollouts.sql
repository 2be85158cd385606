-- Promoted candidates that get their traffic in steps, and lose it by themselves where they do harm.
CREATE TABLE replay.rollouts (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    experiment_id text NOT NULL REFERENCES replay.experiments (id),
    routing_config_id text NOT NULL,
    slug text NOT NULL,
    -- modelux.replay.v1.RolloutSpec, everything filled in.
    spec bytea NOT NULL,
    -- The ab_test whose weights the steps set, JSON.
    policy text NOT NULL,
    -- What a rollback makes active again.
    base_version integer NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'rolled_back', 'cancelled', 'superseded')),
    status_reason text NOT NULL DEFAULT '',
    -- The version that must be active: what the last step made; at first the promoted one.
    version integer NOT NULL,
    percent integer NOT NULL,
    -- Steps made; 0: it is still at the promoted share.
    position integer NOT NULL DEFAULT 0,
    -- How far the step is, as modelux_replay.stepping.Standing, JSON.
    standing text NOT NULL,
    -- What is to be done at the config service, written before it is asked, so that a crash neither forgets nor repeats it: step, back
    -- or nothing.
    wanted text NOT NULL DEFAULT '' CHECK (wanted IN ('', 'step', 'back')),
    wanted_reason text NOT NULL DEFAULT '',
    wanted_requests bigint NOT NULL DEFAULT 0,
    -- Grows with every claim; who holds an older one writes nothing.
    epoch bigint NOT NULL DEFAULT 0,
    claimed_until_us bigint NOT NULL DEFAULT 0,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL,
    created_by text NOT NULL,
    idempotency_key text,
    request_hash bytea NOT NULL,
    UNIQUE (organization_id, created_by, idempotency_key)
);

CREATE UNIQUE INDEX rollouts_running ON replay.rollouts (routing_config_id) WHERE status = 'running';
CREATE INDEX rollouts_by_age ON replay.rollouts (organization_id, id DESC);

CREATE TABLE replay.rollout_steps (
    rollout_id text NOT NULL REFERENCES replay.rollouts (id),
    at_us bigint NOT NULL,
    -- 0: rolled back.
    percent integer NOT NULL,
    version integer NOT NULL,
    reason text NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (rollout_id, percent)
);
