-- The message log: topics, partitions and records, the groups that read them, and the functions that do each step whole.

CREATE TABLE bus.topic (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- The counters. Publishing locks a partition's row until it commits: so offsets have no gaps and appear in order.
CREATE TABLE bus.partition (
    topic_id     integer NOT NULL REFERENCES bus.topic,
    number       integer NOT NULL,
    first_offset bigint  NOT NULL DEFAULT 0,
    next_offset  bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, number)
) WITH (fillfactor = 20);

CREATE TABLE bus.record (
    topic_id    integer NOT NULL,
    number      integer NOT NULL,
    "offset"    bigint  NOT NULL,
    appended_ms bigint  NOT NULL,
    key         bytea   NOT NULL,
    id          text    NOT NULL,
    value       bytea   NOT NULL,
    headers     bytea,
    PRIMARY KEY (topic_id, number, "offset")
);
-- Values come compressed or small; compressing them again on the way to TOAST costs more than the disk it saves.
ALTER TABLE bus.record ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE bus.consumer_group (
    name       text   PRIMARY KEY,
    generation bigint NOT NULL DEFAULT 0
);

CREATE TABLE bus.member (
    group_name text        NOT NULL REFERENCES bus.consumer_group,
    id         uuid        NOT NULL,
    topics     text[]      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (group_name, id)
);

-- One row for each partition that a group reads: how far it is, who holds it, and who should hold it next.
-- A holder that is not the target gives the partition up at its next step, or loses it at `revoked_at` plus the grace.
CREATE TABLE bus.holding (
    group_name  text    NOT NULL REFERENCES bus.consumer_group,
    topic_id    integer NOT NULL,
    number      integer NOT NULL,
    next_offset bigint  NOT NULL DEFAULT 0,
    owner       uuid,
    target      uuid,
    revoked_at  timestamptz,
    PRIMARY KEY (group_name, topic_id, number)
) WITH (fillfactor = 50);

-- Creates the topics that do not exist.
CREATE FUNCTION bus.ensure(names text[], counts integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH fresh AS (
        INSERT INTO bus.topic (name) SELECT DISTINCT unnest(names) ON CONFLICT (name) DO NOTHING RETURNING id, name
    )
    INSERT INTO bus.partition (topic_id, number)
    SELECT fresh.id, generate_series(0, wanted.count - 1)
    FROM fresh JOIN unnest(names, counts) AS wanted (name, count) USING (name);
    IF FOUND THEN
        PERFORM pg_notify('bus_group', '*');
    END IF;
END $$;

-- Appends records. `parts` index the partition arrays from 1; `steps` count from 0 within each partition.
CREATE FUNCTION bus.publish(
    topic_ids integer[], numbers integer[], counts bigint[],
    parts integer[], steps bigint[], keys bytea[], ids text[], vals bytea[], heads bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bases  bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(numbers)]);
    moved  record;
    now_ms bigint;
BEGIN
    -- One order of locking for everybody, so that two publishers never wait for each other.
    FOR moved IN
        SELECT p.topic_id, p.number, p.next_offset, wanted.slot
        FROM unnest(topic_ids, numbers) WITH ORDINALITY AS wanted (topic_id, number, slot)
        JOIN bus.partition p USING (topic_id, number)
        ORDER BY p.topic_id, p.number
        FOR UPDATE OF p
    LOOP
        bases[moved.slot] := moved.next_offset;
    END LOOP;
    now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
    UPDATE bus.partition p SET next_offset = p.next_offset + wanted.count
    FROM unnest(topic_ids, numbers, counts) AS wanted (topic_id, number, count)
    WHERE p.topic_id = wanted.topic_id AND p.number = wanted.number;
    INSERT INTO bus.record (topic_id, number, "offset", appended_ms, key, id, value, headers)
    SELECT topic_ids[r.part], numbers[r.part], bases[r.part] + r.step, now_ms, r.key, r.id, r.value, r.headers
    FROM unnest(parts, steps, keys, ids, vals, heads) AS r (part, step, key, id, value, headers);
END $$;

-- Records from each partition's offset on, in order, until their number or their size is reached (one at least).
CREATE FUNCTION bus.fetch(
    topic_ids integer[], numbers integer[], offsets bigint[], max_records integer, max_bytes bigint
) RETURNS TABLE (slot bigint, "offset" bigint, appended_ms bigint, key bytea, id text, value bytea, headers bytea)
LANGUAGE sql STABLE AS $$
    SELECT sized.slot, sized."offset", sized.appended_ms, sized.key, sized.id, sized.value, sized.headers
    FROM (
        SELECT found.*, sum(octet_length(found.value)) OVER (ORDER BY found.slot, found."offset")
            - octet_length(found.value) AS bytes_before
        FROM (
            SELECT wanted.slot, r."offset", r.appended_ms, r.key, r.id, r.value, r.headers
            FROM unnest(topic_ids, numbers, offsets) WITH ORDINALITY AS wanted (topic_id, number, from_offset, slot)
            CROSS JOIN LATERAL (
                SELECT * FROM bus.record r
                WHERE r.topic_id = wanted.topic_id AND r.number = wanted.number AND r."offset" >= wanted.from_offset
                ORDER BY r."offset" LIMIT max_records
            ) r
            LIMIT max_records
        ) found
    ) sized
    WHERE sized.bytes_before < max_bytes
    ORDER BY sized.slot, sized."offset"
$$;

-- Opens a step of the group that nobody else may take at the same time; answers its generation.
CREATE FUNCTION bus.lock_group(group_ text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    answer bigint;
BEGIN
    INSERT INTO bus.consumer_group (name) VALUES (group_) ON CONFLICT DO NOTHING;
    SELECT generation INTO answer FROM bus.consumer_group WHERE name = group_ FOR UPDATE;
    RETURN answer;
END $$;

-- Tells the other members that something changed; answers the new generation.
CREATE FUNCTION bus.bump(group_ text) RETURNS bigint LANGUAGE sql AS $$
    SELECT pg_notify('bus_group', group_);
    UPDATE bus.consumer_group SET generation = generation + 1 WHERE name = group_ RETURNING generation;
$$;

-- Nobody is expired until the server itself is up that long: after its restart all members need time to come back.
CREATE FUNCTION bus.expired(expires_at timestamptz, alive interval) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT expires_at < clock_timestamp() AND pg_postmaster_start_time() < clock_timestamp() - alive
$$;

-- Renews a member and removes those that stopped beating; answers who is left.
CREATE FUNCTION bus.enter(group_ text, member_ uuid, topics_ text[], alive interval)
RETURNS TABLE (id uuid, topics text[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO bus.member (group_name, id, topics, expires_at)
    VALUES (group_, member_, topics_, clock_timestamp() + alive)
    ON CONFLICT (group_name, id) DO UPDATE SET expires_at = excluded.expires_at;
    DELETE FROM bus.member m WHERE m.group_name = group_ AND bus.expired(m.expires_at, alive);
    UPDATE bus.holding h SET owner = NULL
    WHERE h.group_name = group_ AND h.owner IS NOT NULL
      AND NOT EXISTS (SELECT FROM bus.member m WHERE m.group_name = group_ AND m.id = h.owner);
    RETURN QUERY SELECT m.id, m.topics FROM bus.member m WHERE m.group_name = group_;
END $$;

-- All partitions of the topics with their place in the group; makes rows for those that are new.
CREATE FUNCTION bus.holdings(group_ text, topics_ text[])
RETURNS TABLE (topic_id integer, topic text, number integer, owner uuid, target uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO bus.holding (group_name, topic_id, number)
    SELECT group_, p.topic_id, p.number FROM bus.partition p JOIN bus.topic t ON t.id = p.topic_id
    WHERE t.name = ANY (topics_)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT h.topic_id, t.name, h.number, h.owner, h.target
    FROM bus.holding h JOIN bus.topic t ON t.id = h.topic_id
    WHERE h.group_name = group_ AND t.name = ANY (topics_);
END $$;

-- Writes who should hold what from now on.
CREATE FUNCTION bus.retarget(group_ text, topic_ids integer[], numbers integer[], targets uuid[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE bus.holding h SET target = wanted.target, revoked_at = clock_timestamp()
    FROM unnest(topic_ids, numbers, targets) AS wanted (topic_id, number, target)
    WHERE h.group_name = group_ AND h.topic_id = wanted.topic_id AND h.number = wanted.number
      AND h.target IS DISTINCT FROM wanted.target
$$;

-- Gives up what a member should no longer hold, answers how many those were.
CREATE FUNCTION bus.give_up(group_ text, member_ uuid) RETURNS bigint LANGUAGE sql AS $$
    WITH given AS (
        UPDATE bus.holding SET owner = NULL
        WHERE group_name = group_ AND owner = member_ AND target IS DISTINCT FROM member_
        RETURNING 1
    )
    SELECT count(*) FROM given
$$;

-- Takes what is free and meant for a member, or was not given up within the grace; answers all it then holds.
CREATE FUNCTION bus.take(group_ text, member_ uuid, grace interval)
RETURNS TABLE (topic_id integer, topic text, number integer, next_offset bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    UPDATE bus.holding SET owner = member_
    WHERE group_name = group_ AND target = member_ AND owner IS DISTINCT FROM member_
      AND (owner IS NULL OR revoked_at < clock_timestamp() - grace);
    RETURN QUERY
    SELECT h.topic_id, t.name, h.number, h.next_offset FROM bus.holding h JOIN bus.topic t ON t.id = h.topic_id
    WHERE h.group_name = group_ AND h.owner = member_;
END $$;

-- Keeps a member alive; NULL when it was removed, else the generation. Wakes the group when a member is gone.
CREATE FUNCTION bus.beat(group_ text, member_ uuid, alive interval) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bus.member SET expires_at = clock_timestamp() + alive WHERE group_name = group_ AND id = member_;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM bus.member m WHERE m.group_name = group_ AND bus.expired(m.expires_at, alive)) THEN
        PERFORM pg_notify('bus_group', group_);
    END IF;
    RETURN (SELECT generation FROM bus.consumer_group WHERE name = group_);
END $$;

-- Takes a member out and frees what it held.
CREATE FUNCTION bus.leave(group_ text, member_ uuid) RETURNS void LANGUAGE sql AS $$
    SELECT bus.lock_group(group_);
    DELETE FROM bus.member WHERE group_name = group_ AND id = member_;
    UPDATE bus.holding SET owner = NULL WHERE group_name = group_ AND owner = member_;
    SELECT bus.bump(group_);
$$;

-- Records how far the partitions are that this member still holds; answers how many those were.
CREATE FUNCTION bus.commit(group_ text, member_ uuid, topic_ids integer[], numbers integer[], offsets bigint[])
RETURNS bigint LANGUAGE sql AS $$
    WITH done AS (
        UPDATE bus.holding h SET next_offset = wanted.next_offset
        FROM unnest(topic_ids, numbers, offsets) AS wanted (topic_id, number, next_offset)
        WHERE h.group_name = group_ AND h.topic_id = wanted.topic_id AND h.number = wanted.number AND h.owner = member_
        RETURNING 1
    )
    SELECT count(*) FROM done
$$;

CREATE FUNCTION bus.lag(group_ text, topics_ text[]) RETURNS TABLE (topic text, number integer, lag bigint)
LANGUAGE sql STABLE AS $$
    SELECT t.name, p.number, p.next_offset - greatest(coalesce(h.next_offset, 0), p.first_offset)
    FROM bus.topic t
    JOIN bus.partition p ON p.topic_id = t.id
    LEFT JOIN bus.holding h ON h.group_name = group_ AND h.topic_id = p.topic_id AND h.number = p.number
    WHERE t.name = ANY (topics_)
$$;

-- Deletes up to `chunk` of the oldest records of a partition: those that all groups have read and that are older than
-- `read_ms`, and any older than `unread_ms`. Answers how many went.
CREATE FUNCTION bus.expire(topic_id_ integer, number_ integer, read_ms bigint, unread_ms bigint, chunk integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    read_to bigint;
    cut     bigint;
    gone    bigint;
BEGIN
    -- One process at a time is enough; whoever comes second has nothing to do.
    IF NOT pg_try_advisory_xact_lock(topic_id_, number_) THEN
        RETURN 0;
    END IF;
    SELECT min(h.next_offset) INTO read_to FROM bus.holding h WHERE h.topic_id = topic_id_ AND h.number = number_;
    SELECT max(oldest."offset") + 1 INTO cut FROM (
        SELECT r."offset", r.appended_ms FROM bus.record r
        WHERE r.topic_id = topic_id_ AND r.number = number_ ORDER BY r."offset" LIMIT chunk
    ) oldest
    WHERE oldest.appended_ms < unread_ms OR (oldest.appended_ms < read_ms AND oldest."offset" < coalesce(read_to, 0));
    IF cut IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM bus.record r WHERE r.topic_id = topic_id_ AND r.number = number_ AND r."offset" < cut;
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE bus.partition p SET first_offset = cut WHERE p.topic_id = topic_id_ AND p.number = number_;
    RETURN gone;
END $$;
