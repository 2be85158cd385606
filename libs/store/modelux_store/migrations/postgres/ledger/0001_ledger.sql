-- The lease ledger: what was spent of each budget, and the slices of it that spenders hold. Amounts are nano-USD or calls.
CREATE SCHEMA ledger;

-- One per budget, value of an `each` budget, unit and window. Kept as history.
CREATE TABLE ledger.account (
    budget_id text NOT NULL,
    value text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('usd', 'calls')),
    window_start_us bigint NOT NULL,
    -- 0: the window has no end.
    window_end_us bigint NOT NULL,
    cap bigint NOT NULL CHECK (cap >= 0),
    hard boolean NOT NULL,
    -- Charged: spent, unknown, forfeited and overrun.
    settled bigint NOT NULL DEFAULT 0 CHECK (settled >= 0),
    leased bigint NOT NULL DEFAULT 0 CHECK (leased >= 0),
    unknown bigint NOT NULL DEFAULT 0 CHECK (unknown >= 0),
    forfeited bigint NOT NULL DEFAULT 0 CHECK (forfeited >= 0),
    overrun bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    cap_cut bigint NOT NULL DEFAULT 0 CHECK (cap_cut >= 0),
    alerted_ppm bigint NOT NULL DEFAULT 0,
    exceeded boolean NOT NULL DEFAULT false,
    aborted boolean NOT NULL DEFAULT false,
    started_us bigint NOT NULL,
    PRIMARY KEY (budget_id, value, unit, window_start_us),
    CHECK (unknown + forfeited + overrun <= settled),
    CONSTRAINT within_cap CHECK (NOT hard OR settled + leased <= cap + overrun + cap_cut)
) WITH (fillfactor = 70);

-- A spender: its latest life, and when it was last heard of.
CREATE TABLE ledger.replica (
    replica_id text PRIMARY KEY,
    epoch bigint NOT NULL,
    heard_us bigint NOT NULL
) WITH (fillfactor = 70);

-- A slice of an account in the hands of a spender.
CREATE TABLE ledger.lease (
    lease_id text PRIMARY KEY,
    budget_id text NOT NULL,
    value text NOT NULL,
    unit text NOT NULL,
    window_start_us bigint NOT NULL,
    replica_id text NOT NULL,
    epoch bigint NOT NULL,
    granted bigint NOT NULL,
    settled bigint NOT NULL CHECK (settled >= 0),
    unknown bigint NOT NULL CHECK (unknown >= 0),
    overrun bigint NOT NULL CHECK (overrun >= 0),
    state text NOT NULL CHECK (state IN ('active', 'closed', 'forfeited')),
    changed_us bigint NOT NULL,
    CHECK (settled <= granted AND unknown <= settled)
) WITH (fillfactor = 70);
CREATE INDEX lease_active ON ledger.lease (replica_id) WHERE state = 'active';
CREATE INDEX lease_ended ON ledger.lease (changed_us) WHERE state <> 'active';

-- What came of each ask, so that it can be repeated.
CREATE TABLE ledger.grant_op (
    op_id text PRIMARY KEY,
    replica_id text NOT NULL,
    at_us bigint NOT NULL,
    leases integer NOT NULL,
    -- Null: granted.
    reason text,
    short integer NOT NULL
);
CREATE INDEX grant_op_at ON ledger.grant_op (at_us);

-- Asks that were denied for good, for whoever asks why.
CREATE TABLE ledger.denial (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id text NOT NULL,
    value text NOT NULL,
    unit text NOT NULL,
    at_us bigint NOT NULL,
    reason text NOT NULL,
    needed bigint NOT NULL,
    cap bigint NOT NULL,
    settled bigint NOT NULL,
    leased bigint NOT NULL,
    window_start_us bigint NOT NULL,
    resets_at_us bigint NOT NULL,
    replica_id text NOT NULL,
    op_id text NOT NULL
);
CREATE INDEX denial_of ON ledger.denial (budget_id, value, number);
CREATE INDEX denial_at ON ledger.denial (at_us);
