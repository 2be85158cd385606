-- Judge runs: what was asked for, the pairs that were drawn, each call to the judge, and the labels of people. Written by
-- the judge service alone.
CREATE SCHEMA judge;

CREATE TABLE judge.runs (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    experiment_id text NOT NULL,
    -- modelux.judge.v1.JudgeSpec, everything filled in; a routing config as judge is named with its version.
    spec bytea NOT NULL,
    rubric_hash text NOT NULL,
    -- The buckets of the experiment as they were found, JSON; empty before the run has looked.
    population text NOT NULL DEFAULT '',
    -- All pairs are drawn; not yet so while a pilot shows how to split them.
    drawn boolean NOT NULL DEFAULT false,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    status_reason text NOT NULL DEFAULT '',
    -- Why no further call may begin while the run gathers what is under way; empty: calls may begin.
    stop_reason text NOT NULL DEFAULT '',
    -- Grows with every change; who writes names the one it read.
    revision bigint NOT NULL DEFAULT 1,
    -- Grows with every process that takes the run over: one that lost it begins no further call.
    epoch integer NOT NULL DEFAULT 0,
    pairs_total integer NOT NULL DEFAULT 0,
    pairs_done integer NOT NULL DEFAULT 0,
    created_at_us bigint NOT NULL,
    started_at_us bigint NOT NULL DEFAULT 0,
    finished_at_us bigint NOT NULL DEFAULT 0,
    -- Last sign of life of the process that runs it.
    alive_at_us bigint NOT NULL DEFAULT 0,
    created_by text NOT NULL,
    -- Budget of the spend cap.
    budget_id text NOT NULL,
    cap_closed boolean NOT NULL DEFAULT false,
    -- Nano-USD that its calls cost.
    spent_nano bigint NOT NULL DEFAULT 0,
    -- The outcome as the REST API shows it, JSON; empty before it has ended.
    summary text NOT NULL DEFAULT '',
    -- Random: the checks of its questions, and the order in which people see two answers, are drawn with it.
    secret bytea NOT NULL,
    -- Of the request that created it; null where it had no Idempotency-Key.
    idempotency_key text,
    request_hash bytea NOT NULL,
    UNIQUE (organization_id, created_by, idempotency_key)
);

CREATE INDEX runs_by_experiment ON judge.runs (organization_id, experiment_id, id DESC);
CREATE INDEX runs_at_work ON judge.runs (alive_at_us) WHERE status IN ('pending', 'running');
CREATE INDEX runs_caps_open ON judge.runs (id) WHERE NOT cap_closed;

-- The pairs of a run, in the order in which they are judged; those with a negative row are canaries, made of pairs.
CREATE TABLE judge.pairs (
    run_id text NOT NULL REFERENCES judge.runs (id),
    row bigint NOT NULL,
    place integer NOT NULL,
    -- pair, or what the canary is.
    kind text NOT NULL,
    bucket text NOT NULL,
    similarity double precision NOT NULL,
    request_id text NOT NULL,
    candidate_request_id text NOT NULL,
    PRIMARY KEY (run_id, row)
);

-- One row for each question to the judge, committed before the first call for it leaves. Without a verdict and with a
-- process that is gone, nobody knows what the call brought: it is not made again.
CREATE TABLE judge.calls (
    run_id text NOT NULL REFERENCES judge.runs (id),
    row bigint NOT NULL,
    presented text NOT NULL CHECK (presented IN ('baseline_first', 'candidate_first')),
    epoch integer NOT NULL,
    -- Of the call in the request log; a second call that repairs the first one's reply has an id of its own.
    call_id text NOT NULL,
    -- modelux.events.v1.JudgeVerdict.
    verdict bytea,
    -- Of the answers that were shown; 0 where none was read.
    baseline_chars integer NOT NULL DEFAULT 0,
    candidate_chars integer NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, row, presented)
);

-- What people say of pairs; the last word of anybody counts.
CREATE TABLE judge.labels (
    run_id text NOT NULL REFERENCES judge.runs (id),
    row bigint NOT NULL,
    -- better, equivalent or worse: the candidate against the baseline.
    verdict text NOT NULL CHECK (verdict IN ('better', 'equivalent', 'worse')),
    note text NOT NULL,
    labeller text NOT NULL,
    key_id text NOT NULL,
    at_us bigint NOT NULL,
    PRIMARY KEY (run_id, row)
);
