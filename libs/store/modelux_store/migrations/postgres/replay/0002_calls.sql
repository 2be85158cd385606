-- Experiments that call their candidate: the cap that they spend under, the rows that they drew, and what came of each call.
ALTER TABLE replay.experiments
    -- Budget of the spend cap; empty where nothing is spent.
    ADD COLUMN budget_id text NOT NULL DEFAULT '',
    -- The cap grants nothing any more, and what it kept in this schema is cleared.
    ADD COLUMN cap_closed boolean NOT NULL DEFAULT false,
    -- Nano-USD, as last heard of the ledger.
    ADD COLUMN spent_nano bigint NOT NULL DEFAULT 0,
    -- Why no further call may begin while the run gathers what is under way; empty: calls may begin.
    ADD COLUMN stop_reason text NOT NULL DEFAULT '';

CREATE INDEX experiments_caps_open ON replay.experiments (id) WHERE budget_id <> '' AND NOT cap_closed;

-- The rows that were drawn, written once: a run that starts again after a crash calls the same ones. Cleared after its end.
CREATE TABLE replay.draws (
    experiment_id text PRIMARY KEY REFERENCES replay.experiments (id),
    -- Arrow IPC stream, the columns of modelux_replay.drawing.DRAWN.
    drawn bytea NOT NULL
);

-- What became of each sampled row and side, the first that was told. Cleared after the experiment's end.
CREATE TABLE replay.pairs (
    experiment_id text NOT NULL REFERENCES replay.experiments (id),
    row bigint NOT NULL,
    side text NOT NULL CHECK (side IN ('candidate', 'baseline')),
    outcome text NOT NULL,
    error_code text NOT NULL,
    charged_nano bigint NOT NULL,
    -- What made the similarity; empty where there is none.
    embedder text NOT NULL,
    -- modelux.events.v1.ExperimentScore.
    score bytea NOT NULL,
    PRIMARY KEY (experiment_id, row, side)
);
