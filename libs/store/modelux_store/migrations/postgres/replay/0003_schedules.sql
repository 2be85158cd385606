-- Experiments that repeat themselves, and what success criteria said of any experiment.
ALTER TABLE replay.experiments
    -- The schedule that made it; empty: none.
    ADD COLUMN schedule_id text NOT NULL DEFAULT '',
    -- Its place among the runs of the schedule, from 1: the part of the error budget that its verdict may use. 0: of no schedule.
    ADD COLUMN look integer NOT NULL DEFAULT 0,
    -- pass, fail or inconclusive, and the facts as the REST API shows them, JSON; empty before it ends, or without criteria.
    ADD COLUMN verdict text NOT NULL DEFAULT '',
    ADD COLUMN verdict_facts text NOT NULL DEFAULT '';

CREATE INDEX experiments_by_schedule ON replay.experiments (schedule_id, look DESC) WHERE schedule_id <> '';

CREATE TABLE replay.schedules (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    -- modelux.replay.v1.ScheduleSpec, everything filled in.
    spec bytea NOT NULL,
    -- Grows with every change; who fires names the one it read.
    revision bigint NOT NULL DEFAULT 1,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL,
    created_by text NOT NULL,
    -- The due moment that is waited for; 0: none, as it is paused or deleted.
    next_at_us bigint NOT NULL,
    -- By which clock it was found out: a clock that was set back since makes it be found out anew.
    reckoned_at_us bigint NOT NULL,
    last_at_us bigint NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    -- Experiments that it made.
    runs bigint NOT NULL DEFAULT 0,
    -- A deleted one stays, as its experiments name it.
    deleted_at_us bigint NOT NULL DEFAULT 0,
    idempotency_key text,
    request_hash bytea,
    UNIQUE (organization_id, created_by, idempotency_key)
);

CREATE INDEX schedules_by_age ON replay.schedules (organization_id, id DESC) WHERE deleted_at_us = 0;
CREATE INDEX schedules_due ON replay.schedules (next_at_us) WHERE next_at_us > 0;

-- Due moments that were dealt with, each once: written in the transaction that creates the experiment.
CREATE TABLE replay.firings (
    schedule_id text NOT NULL REFERENCES replay.schedules (id),
    due_at_us bigint NOT NULL,
    fired_at_us bigint NOT NULL,
    -- Empty where none could be made; then why.
    experiment_id text NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (schedule_id, due_at_us)
);
