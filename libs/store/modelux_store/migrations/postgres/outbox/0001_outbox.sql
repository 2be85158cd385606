-- Events that were committed with the rows they speak of and wait to be published, in the order of their numbers.
CREATE SCHEMA outbox;

CREATE TABLE outbox.message (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
