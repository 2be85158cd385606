-- Runs of large windows, whose units of work any replica may do. Cleared where the experiment ends.
CREATE TABLE replay.shared_runs (
    experiment_id text NOT NULL REFERENCES replay.experiments (id),
    -- The experiment's epoch: a run that was taken over starts anew.
    epoch integer NOT NULL,
    -- modelux_replay.plan.Plan as workers read it: whoever simulates knows the same. Null: others are not
    -- invited yet.
    plan bytea,
    share_ppm integer NOT NULL,
    weight double precision NOT NULL,
    -- Whether rows under budgets are left for the process that runs the experiment, which replays them in order.
    ordered boolean NOT NULL,
    PRIMARY KEY (experiment_id, epoch)
);
-- It is packed already, as the streams of units are.
ALTER TABLE replay.shared_runs ALTER COLUMN plan SET STORAGE EXTERNAL;

-- The units of a shared run, each a slice of its window.
CREATE TABLE replay.units (
    experiment_id text NOT NULL,
    epoch integer NOT NULL,
    -- Counts from 0 in the window's order.
    unit integer NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint NOT NULL,
    rows bigint NOT NULL,
    first_row bigint NOT NULL,
    -- Who claimed it last, anew for each part that a process takes in a run; empty: nobody yet.
    owner text NOT NULL DEFAULT '',
    -- Last sign of life of the owner.
    alive_at_us bigint NOT NULL DEFAULT 0,
    -- How many rows were replayed, and the columns of their results that the summary reads; null before it is done.
    rows_done bigint,
    summary bytea,
    -- Rows that must be replayed after those left by the units before; empty: none.
    left_rows bytea NOT NULL DEFAULT '',
    PRIMARY KEY (experiment_id, epoch, unit),
    FOREIGN KEY (experiment_id, epoch) REFERENCES replay.shared_runs ON DELETE CASCADE
);
ALTER TABLE replay.units ALTER COLUMN summary SET STORAGE EXTERNAL, ALTER COLUMN left_rows SET STORAGE EXTERNAL;
CREATE INDEX units_open ON replay.units (experiment_id, epoch, unit) WHERE rows_done IS NULL;
