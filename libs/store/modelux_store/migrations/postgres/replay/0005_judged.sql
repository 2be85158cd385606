-- Runs of schedules whose verdict waits for a judge.
ALTER TABLE replay.experiments
    -- wanted: a judge run is to be made; running: it was made; done: the verdict has what it said. Empty: no judge is asked.
    ADD COLUMN judge_state text NOT NULL DEFAULT '' CHECK (judge_state IN ('', 'wanted', 'running', 'done')),
    ADD COLUMN judge_run_id text NOT NULL DEFAULT '';

CREATE INDEX experiments_judged ON replay.experiments (id) WHERE judge_state IN ('wanted', 'running');
