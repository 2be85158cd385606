-- Experiments and what became of them. Written by the replay service alone.
CREATE SCHEMA replay;

CREATE TABLE replay.experiments (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    -- modelux.replay.v1.ExperimentSpec as it was asked for, everything filled in.
    spec bytea NOT NULL,
    candidate_reference text NOT NULL,
    -- The candidate's policy document, JSON.
    policy text NOT NULL,
    -- What of the configuration the simulation needs (modelux.config.v1.Snapshot, without keys and secrets), taken at
    -- creation: a run that starts again after a crash decides as the first one did.
    configuration bytea NOT NULL,
    window_start_us bigint NOT NULL,
    window_end_us bigint NOT NULL,
    seed bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    status_reason text NOT NULL DEFAULT '',
    -- Grows with every change; who writes names the one it read.
    revision bigint NOT NULL DEFAULT 1,
    -- Grows with every process that takes the run over: progress of an earlier one is refused.
    epoch integer NOT NULL DEFAULT 0,
    rows_total bigint NOT NULL DEFAULT 0,
    rows_done bigint NOT NULL DEFAULT 0,
    created_at_us bigint NOT NULL,
    started_at_us bigint NOT NULL DEFAULT 0,
    finished_at_us bigint NOT NULL DEFAULT 0,
    -- Last sign of life of the process that runs it.
    alive_at_us bigint NOT NULL DEFAULT 0,
    created_by text NOT NULL,
    -- The outcome as the REST API shows it, JSON; empty before it is completed.
    summary text NOT NULL DEFAULT '',
    -- Of the request that created it; null where it had no Idempotency-Key.
    idempotency_key text,
    request_hash bytea,
    UNIQUE (organization_id, created_by, idempotency_key)
);

CREATE INDEX experiments_by_age ON replay.experiments (organization_id, id DESC);
CREATE INDEX experiments_at_work ON replay.experiments (alive_at_us) WHERE status IN ('pending', 'running');

-- Versions that experiments were promoted to. A row says that it was done.
CREATE TABLE replay.promotions (
    experiment_id text NOT NULL REFERENCES replay.experiments (id),
    routing_config_id text NOT NULL,
    slug text NOT NULL,
    version integer NOT NULL,
    mode text NOT NULL CHECK (mode IN ('replace', 'ab_test')),
    weight double precision NOT NULL,
    at_us bigint NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (experiment_id, routing_config_id, mode, weight)
);
