-- What one experiment and one judge run may spend and sample, and the caps of those that run. 0: the default.
ALTER TABLE config.projects
    ADD COLUMN experiment_spend_cap_nano bigint NOT NULL DEFAULT 0 CHECK (experiment_spend_cap_nano >= 0),
    ADD COLUMN judge_spend_cap_nano bigint NOT NULL DEFAULT 0 CHECK (judge_spend_cap_nano >= 0),
    ADD COLUMN experiment_sample_min integer NOT NULL DEFAULT 0 CHECK (experiment_sample_min >= 0),
    ADD COLUMN experiment_sample_max integer NOT NULL DEFAULT 0 CHECK (experiment_sample_max >= 0);

-- True: opened for one run by the service that runs it, and ended (`disabled`) with it. Proxies are not told of these.
ALTER TABLE config.budgets ADD COLUMN spend_cap boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX budgets_spend_cap ON config.budgets (organization_id, scope, scope_key) WHERE spend_cap;
-- Runs may be named alike.
DROP INDEX config.budgets_name;
CREATE UNIQUE INDEX budgets_name ON config.budgets (organization_id, lower(name)) WHERE deleted_at_us = 0 AND NOT spend_cap;
