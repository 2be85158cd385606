-- Work of the response sampler: units of rows to call, and what came of each row. Written by that service alone.
CREATE SCHEMA sampler;

CREATE TABLE sampler.units (
    experiment_id text NOT NULL,
    unit integer NOT NULL,
    -- The order in which they are worked.
    number bigint GENERATED ALWAYS AS IDENTITY,
    -- modelux.events.v1.ExperimentSamples.
    samples bytea NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'working', 'done')),
    -- Grows with every process that takes it up: an earlier one begins no further call.
    epoch integer NOT NULL DEFAULT 0,
    -- It came again after it was done: what is known of its rows is to be told again.
    again boolean NOT NULL DEFAULT false,
    -- Last sign of life of the process that works on it.
    alive_at timestamptz NOT NULL DEFAULT now(),
    deadline_us bigint NOT NULL,
    PRIMARY KEY (experiment_id, unit)
);

CREATE INDEX units_open ON sampler.units (number) WHERE state <> 'done';
CREATE INDEX units_by_deadline ON sampler.units (deadline_us);

-- One row for each row and side that was dealt with. It is there before the call leaves: a second is never made.
CREATE TABLE sampler.calls (
    experiment_id text NOT NULL,
    row bigint NOT NULL,
    side text NOT NULL CHECK (side IN ('candidate', 'baseline')),
    unit integer NOT NULL,
    -- Of the process that began it.
    epoch integer NOT NULL,
    -- Request id of the call in the log; empty where none was made.
    call_id text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    -- modelux.events.v1.ExperimentPair; null while nobody knows what came of it.
    pair bytea,
    PRIMARY KEY (experiment_id, row, side)
);
