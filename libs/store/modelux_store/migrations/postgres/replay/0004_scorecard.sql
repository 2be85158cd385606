-- What experiments projected, and what was measured of it later. Written once for each.
CREATE TABLE replay.scorecard (
    experiment_id text NOT NULL REFERENCES replay.experiments (id),
    -- promotion, or with_responses: the experiment's own calls.
    source text NOT NULL,
    routing_config_id text NOT NULL,
    slug text NOT NULL,
    version integer NOT NULL,
    -- mean_cost_usd, p50_latency_ms, p95_latency_ms or error_rate.
    metric text NOT NULL,
    projected double precision NOT NULL,
    projected_lower double precision,
    projected_upper double precision,
    measured double precision NOT NULL,
    measured_lower double precision,
    measured_upper double precision,
    requests bigint NOT NULL,
    measured_at_us bigint NOT NULL,
    PRIMARY KEY (experiment_id, source, routing_config_id, version, metric)
);
