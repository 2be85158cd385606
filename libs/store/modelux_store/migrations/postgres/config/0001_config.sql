-- Everything the config service owns: tenants, credentials, keys, versioned routing configs, prices, the audit chain and the snapshot's version.
CREATE SCHEMA IF NOT EXISTS config;

CREATE TABLE config.organizations (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at_us bigint NOT NULL
);
CREATE UNIQUE INDEX organizations_name ON config.organizations (lower(name));

CREATE TABLE config.projects (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    name text NOT NULL,
    logging_mode text NOT NULL CHECK (logging_mode IN ('full', 'metadata_only')),
    default_max_tokens integer NOT NULL DEFAULT 0 CHECK (default_max_tokens >= 0),
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL
);
CREATE UNIQUE INDEX projects_name ON config.projects (organization_id, lower(name));

CREATE TABLE config.credentials (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    name text NOT NULL,
    provider text NOT NULL,
    base_url text NOT NULL,
    -- AES-GCM, bound to organization, credential and host; null: the provider needs none.
    sealed_secret bytea,
    secret_hint text NOT NULL DEFAULT '',
    models text[] NOT NULL DEFAULT '{}',
    project_ids text[] NOT NULL DEFAULT '{}',
    allow_private boolean NOT NULL DEFAULT false,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL
);
CREATE UNIQUE INDEX credentials_name ON config.credentials (organization_id, lower(name));

CREATE TABLE config.proxy_keys (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    project_id text NOT NULL REFERENCES config.projects,
    name text NOT NULL,
    -- SHA-256 of the key; the key itself is nowhere.
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix text NOT NULL,
    expires_at_us bigint NOT NULL DEFAULT 0,
    requests_per_minute integer NOT NULL DEFAULT 0,
    tokens_per_minute integer NOT NULL DEFAULT 0,
    allowed_models text[] NOT NULL DEFAULT '{}',
    created_at_us bigint NOT NULL,
    revoked_at_us bigint NOT NULL DEFAULT 0
);
CREATE INDEX proxy_keys_project ON config.proxy_keys (project_id);

CREATE TABLE config.management_keys (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    prefix text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
    expires_at_us bigint NOT NULL DEFAULT 0,
    created_at_us bigint NOT NULL,
    revoked_at_us bigint NOT NULL DEFAULT 0
);
CREATE INDEX management_keys_organization ON config.management_keys (organization_id);

CREATE TABLE config.routing_configs (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    project_id text NOT NULL REFERENCES config.projects,
    slug text NOT NULL,
    description text NOT NULL DEFAULT '',
    active_version integer NOT NULL,
    latest_version integer NOT NULL,
    archived boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 1,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL,
    UNIQUE (project_id, slug)
);

CREATE TABLE config.routing_config_versions (
    routing_config_id text NOT NULL REFERENCES config.routing_configs ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    -- Canonical JSON.
    policy text NOT NULL,
    policy_type text NOT NULL,
    note text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at_us bigint NOT NULL,
    PRIMARY KEY (routing_config_id, version)
);

-- What was active, oldest first: a rollback takes the last row away.
CREATE TABLE config.routing_config_activations (
    routing_config_id text NOT NULL REFERENCES config.routing_configs ON DELETE CASCADE,
    position integer NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (routing_config_id, position)
);

CREATE TABLE config.prices (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES config.organizations,
    provider text NOT NULL,
    model text NOT NULL,
    -- Nano-USD per million tokens.
    input bigint NOT NULL CHECK (input >= 0),
    output bigint NOT NULL CHECK (output >= 0),
    cache_read bigint CHECK (cache_read >= 0),
    cache_write bigint CHECK (cache_write >= 0),
    effective_from_us bigint NOT NULL,
    created_at_us bigint NOT NULL,
    UNIQUE (organization_id, provider, model, effective_from_us)
);

CREATE TABLE config.audit (
    organization_id text NOT NULL REFERENCES config.organizations,
    sequence bigint NOT NULL,
    at_us bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    project_id text NOT NULL DEFAULT '',
    -- JSON without secrets, as hashed.
    before_json text NOT NULL DEFAULT '',
    after_json text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    snapshot_version bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (organization_id, sequence)
);
CREATE INDEX audit_transaction ON config.audit (transaction_id);
CREATE INDEX audit_entity ON config.audit (organization_id, entity_id, sequence);

-- Writes that carried an Idempotency-Key, with their sealed answers; kept for a day.
CREATE TABLE config.idempotency (
    organization_id text NOT NULL REFERENCES config.organizations,
    key_id text NOT NULL,
    idempotency_key text NOT NULL,
    operation text NOT NULL,
    request_hash bytea NOT NULL,
    sealed_response bytea NOT NULL,
    created_at_us bigint NOT NULL,
    PRIMARY KEY (organization_id, key_id, idempotency_key)
);
CREATE INDEX idempotency_created ON config.idempotency (created_at_us);

-- One row. Begins at the second of creation, so that a proxy that kept a snapshot of another database notices.
CREATE TABLE config.snapshot_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
INSERT INTO config.snapshot_version (version) VALUES (extract(epoch FROM now())::bigint);

CREATE FUNCTION config.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER immutable BEFORE UPDATE ON config.routing_config_versions FOR EACH ROW EXECUTE FUNCTION config.refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON config.audit FOR EACH ROW EXECUTE FUNCTION config.refuse_change();
CREATE TRIGGER immutable_truncate BEFORE TRUNCATE ON config.audit FOR EACH STATEMENT EXECUTE FUNCTION config.refuse_change();

-- A change without an audit row of the same transaction cannot be committed.
CREATE FUNCTION config.require_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM config.audit WHERE transaction_id = pg_current_xact_id()) THEN
        RAISE EXCEPTION '% on config.% without an audit row', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['organizations', 'projects', 'credentials', 'proxy_keys', 'management_keys', 'routing_configs', 'routing_config_versions', 'prices'] LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON config.%I DEFERRABLE INITIALLY DEFERRED '
            'FOR EACH ROW EXECUTE FUNCTION config.require_audit()', name);
    END LOOP;
END $$;
