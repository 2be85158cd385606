-- Members whose process is dead go at once: each holds a lock in a session of its own, and the server frees it when
-- the process dies. A member that hangs, or whose machine is cut off, is still removed by its missing heartbeat.

-- When the member's session was last seen; NULL where the member does without one, as those of older versions do.
ALTER TABLE bus.member ADD COLUMN session_at timestamptz;

CREATE FUNCTION bus.session_key(member_ uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('modelux bus member ' || member_::text, 0)
$$;

-- Whether another session than the caller's holds the lock of a member. Those who look do not stand in each other's way.
CREATE FUNCTION bus.in_session(member_ uuid) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT NOT pg_try_advisory_xact_lock_shared(bus.session_key(member_))
$$;

-- A member that stopped beating, or whose session ended. A session seen before the server started proves nothing: the
-- server ended it itself.
CREATE FUNCTION bus.gone(m bus.member, alive interval) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN bus.expired(m.expires_at, alive) THEN true
        WHEN m.session_at > pg_postmaster_start_time() THEN NOT bus.in_session(m.id)
        ELSE false
    END
$$;

-- As before, with `gone` for `expired`, and noting the session.
CREATE OR REPLACE FUNCTION bus.enter(group_ text, member_ uuid, topics_ text[], alive interval)
RETURNS TABLE (id uuid, topics text[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO bus.member (group_name, id, topics, expires_at, session_at)
    VALUES (
        group_, member_, topics_, clock_timestamp() + alive,
        CASE WHEN bus.in_session(member_) THEN clock_timestamp() END
    )
    ON CONFLICT (group_name, id) DO UPDATE SET expires_at = excluded.expires_at, session_at = excluded.session_at;
    DELETE FROM bus.member m WHERE m.group_name = group_ AND bus.gone(m, alive);
    UPDATE bus.holding h SET owner = NULL
    WHERE h.group_name = group_ AND h.owner IS NOT NULL
      AND NOT EXISTS (SELECT FROM bus.member m WHERE m.group_name = group_ AND m.id = h.owner);
    RETURN QUERY SELECT m.id, m.topics FROM bus.member m WHERE m.group_name = group_;
END $$;

CREATE OR REPLACE FUNCTION bus.beat(group_ text, member_ uuid, alive interval) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bus.member SET
        expires_at = clock_timestamp() + alive,
        session_at = CASE WHEN bus.in_session(member_) THEN clock_timestamp() END
    WHERE group_name = group_ AND id = member_;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM bus.member m WHERE m.group_name = group_ AND bus.gone(m, alive)) THEN
        PERFORM pg_notify('bus_group', group_);
    END IF;
    RETURN (SELECT generation FROM bus.consumer_group WHERE name = group_);
END $$;
