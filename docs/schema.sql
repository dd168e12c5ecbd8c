-- The whole schema as the migrations leave it, in one file to read. Nothing runs it: a database is made by
-- `python -m infra.migrate`, and a test compares what the migrations come to with this.
--
-- lesson ─< lesson_attempt ─< watch_session ─< watch_segment, seek_event
--
-- `…_ms` are whole milliseconds, places and lengths in the video as well as durations: sums of integers are exact
-- and know no order. `…_at` are moments; unless it says otherwise, the database's clock told them. A coverage is a
-- set of half-open stretches of the video, [0,5000) and [5000,9000) being [0,9000).
--
-- user_id is in every key of what belongs to a person: a row cannot be reached through somebody else's id, and the
-- tables can be spread over machines by it.
--
-- Which function may do what with it stands in docs/privileges.md.

-- One video, and what is expected of those who watch it.
CREATE TABLE lesson (
    lesson_id            text          PRIMARY KEY,                -- the caller's own name for it
    duration_ms          int,                                      -- null: not known, so no ratio can be told
    seek_policy          text          NOT NULL DEFAULT 'flag',    -- for who is assigned: free: jump at will; flag: a
                                                                   -- jump over unwatched video is recorded as not
                                                                   -- allowed; block: so too, and players prevent it
    skip_threshold_ms    int           NOT NULL DEFAULT 5000,      -- a seek that leaves out more than this is a skip
    completion_threshold numeric(7, 6),                            -- the coverage ratio that completing takes;
                                                                   -- null: none
    credit_window_days   int           NOT NULL DEFAULT 365,       -- how old what was watched before an assignment
                                                                   -- may be to be credited to it
    max_credit_ratio     numeric(7, 6) NOT NULL DEFAULT 1,         -- at most this share of the video is credited
    integrity_policy     text          NOT NULL DEFAULT 'flag',    -- exclude: a session that claims more than the
                                                                   -- clock allows does not count toward completion;
                                                                   -- flag: it counts, and is marked
    created_at           timestamptz   NOT NULL DEFAULT statement_timestamp(),  -- when it was first heard of
    updated_at           timestamptz   NOT NULL DEFAULT statement_timestamp(),  -- when its policy was last written
    CONSTRAINT lesson_id_has_1_to_128_characters CHECK (length(lesson_id) BETWEEN 1 AND 128),
    CONSTRAINT lesson_lasts_up_to_a_day CHECK (duration_ms BETWEEN 1 AND 86400000),
    CONSTRAINT seek_policy_is_free_flag_or_block CHECK (seek_policy IN ('free', 'flag', 'block')),
    CONSTRAINT skip_threshold_is_a_length CHECK (skip_threshold_ms BETWEEN 0 AND 86400000),
    CONSTRAINT completion_threshold_is_a_ratio CHECK (completion_threshold BETWEEN 0 AND 1),
    CONSTRAINT credit_window_is_up_to_ten_years CHECK (credit_window_days BETWEEN 0 AND 3660),
    CONSTRAINT max_credit_ratio_is_a_ratio CHECK (max_credit_ratio BETWEEN 0 AND 1),
    CONSTRAINT integrity_policy_is_flag_or_exclude CHECK (integrity_policy IN ('flag', 'exclude'))
);

-- One user's try at one lesson. Its totals are those of its sessions that ended; who reads an attempt adds the open
-- ones. In an assigned attempt count the assigned sessions and those credited to it, in an unassigned one all of its
-- own. Each end of a session computes them anew, so any number of times in any order gives the same.
CREATE TABLE lesson_attempt (
    attempt_id       uuid           NOT NULL,                      -- UUIDv7
    user_id          text           NOT NULL,                      -- the caller's own name for the person
    lesson_id        text           NOT NULL REFERENCES lesson,    -- what is tried
    attempt_no       int            NOT NULL,                      -- 1, 2, … for this user and lesson
    status           text           NOT NULL DEFAULT 'active',     -- active until it is completed
    is_assigned      boolean        NOT NULL DEFAULT false,        -- whether somebody expects it of the user
    assigned_at      timestamptz,                                  -- since when; the credit's window ends there
    made_for_credit  boolean        NOT NULL DEFAULT false,        -- made by the assignment: goes with it if unused
    credit_limit_ms  int,                                          -- so much coverage may be credited, by the policy
                                                                   -- when it was assigned; null: all
    started_at       timestamptz    NOT NULL DEFAULT statement_timestamp(),  -- when it was opened
    completed_at     timestamptz,                                  -- when it was completed; null: it was not
    coverage         int4multirange NOT NULL DEFAULT '{}',         -- what was seen, once each
    effective_ms     bigint         NOT NULL DEFAULT 0,            -- the time the person spent, replays included
    last_position_ms int,                                          -- where the latest segment ended: "continue here"
    last_position_at timestamptz,                                  -- when that was
    PRIMARY KEY (attempt_id, user_id),
    CONSTRAINT attempts_are_numbered_per_user_and_lesson UNIQUE (user_id, lesson_id, attempt_no),
    CONSTRAINT user_id_has_1_to_128_characters CHECK (length(user_id) BETWEEN 1 AND 128),
    CONSTRAINT attempts_are_numbered_from_one CHECK (attempt_no >= 1),
    CONSTRAINT attempt_is_active_or_completed CHECK (status IN ('active', 'completed')),
    CONSTRAINT a_completed_attempt_has_its_moment CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT a_position_has_its_moment CHECK ((last_position_ms IS NULL) = (last_position_at IS NULL)),
    CONSTRAINT an_assigned_attempt_has_its_moment CHECK (is_assigned = (assigned_at IS NOT NULL)),
    CONSTRAINT only_an_assigned_attempt_limits_credit CHECK (is_assigned OR credit_limit_ms IS NULL),
    CONSTRAINT credit_limit_is_a_length CHECK (credit_limit_ms >= 0)
) WITH (fillfactor = 80);

-- Starting: of any number of starts at once, one opens the attempt. The latest attempt is found by the unique
-- (user_id, lesson_id, attempt_no), read backwards.
CREATE UNIQUE INDEX at_most_one_active_attempt ON lesson_attempt (user_id, lesson_id) WHERE status = 'active';

-- Plans are kept for all users: they are to be made for those who watch a lot, fifty attempts or sessions each.
ALTER TABLE lesson_attempt ALTER user_id SET (n_distinct = -0.02);

-- One opening of the player in an attempt. Its totals are its segments' and seeks', at every instant: the statement
-- that inserts those adds what was new to these. So they outlive the raw rows.
CREATE TABLE watch_session (
    session_id            uuid           NOT NULL,                 -- UUIDv7: its month decides on the partition
    user_id               text           NOT NULL,                 -- who watches
    attempt_id            uuid           NOT NULL,                 -- the attempt in which it was opened
    lesson_id             text           NOT NULL,                 -- the attempt's, for the history of a lesson
    is_assigned           boolean        NOT NULL,                 -- whether the attempt was when it was opened
    status                text           NOT NULL DEFAULT 'open',  -- closed: by the player; stale: fell silent, and
                                                                   -- is open again when it speaks
    started_at            timestamptz    NOT NULL DEFAULT statement_timestamp(),  -- when the server first saw it
    last_heartbeat_at     timestamptz    NOT NULL DEFAULT statement_timestamp(),  -- the last sign of life
    closed_at             timestamptz,                             -- its end; of a stale one, the last sign of life
    archived_at           timestamptz,                             -- its raw rows are in the archive: it takes no
                                                                   -- more progress
    coverage              int4multirange NOT NULL DEFAULT '{}',    -- what was seen, once each
    effective_ms          bigint         NOT NULL DEFAULT 0,       -- the time the person spent, replays included
    exceeds_wall_clock_ms bigint         NOT NULL DEFAULT 0,       -- by how much that was ever more than the clock
                                                                   -- allows: since started_at, and 30 s
    segment_count         int            NOT NULL DEFAULT 0,       -- how many segments it has
    seek_count            int            NOT NULL DEFAULT 0,       -- how many seeks it has
    skip_count            int            NOT NULL DEFAULT 0,       -- how many of them are skips
    rewatched             int4multirange NOT NULL DEFAULT '{}',    -- where two or more of its segments lie
    jumped_over           int4multirange NOT NULL DEFAULT '{}',    -- where its skips went over; both are noted when it
                                                                   -- ends, and anew when something comes late
    last_position_ms      int,                                     -- where the latest segment ended
    last_position_at      timestamptz,                             -- when that was, as far as the client says so and
                                                                   -- not in the future
    credited_attempt_id   uuid,                                    -- the assigned attempt toward which it counts
                                                                   -- though it was unassigned
    idempotency_key       text           NOT NULL,                 -- of the start; without one, the session's id
    client_info           jsonb,                                   -- what the player tells of itself
    client_started_at     timestamptz,                             -- when it was opened by the client's clock
    PRIMARY KEY (session_id, user_id),
    FOREIGN KEY (attempt_id, user_id) REFERENCES lesson_attempt,
    FOREIGN KEY (credited_attempt_id, user_id) REFERENCES lesson_attempt,
    CONSTRAINT a_retried_start_is_one_session UNIQUE (user_id, idempotency_key),
    CONSTRAINT session_is_open_stale_or_closed CHECK (status IN ('open', 'stale', 'closed')),
    CONSTRAINT a_session_that_is_not_open_has_its_end CHECK ((status = 'open') = (closed_at IS NULL)),
    CONSTRAINT an_open_session_is_not_archived CHECK (archived_at IS NULL OR status <> 'open'),
    CONSTRAINT a_session_position_has_its_moment CHECK ((last_position_ms IS NULL) = (last_position_at IS NULL)),
    CONSTRAINT idempotency_key_has_1_to_255_characters CHECK (length(idempotency_key) BETWEEN 1 AND 255)
) WITH (fillfactor = 70);

-- No index has a column that progress or a heartbeat changes: with the room that the fillfactor leaves, both are
-- HOT updates.

-- An attempt's sessions: folding and reading it.
CREATE INDEX session_by_attempt ON watch_session (attempt_id);
-- Those credited to it.
CREATE INDEX session_by_credited_attempt ON watch_session (credited_attempt_id) WHERE credited_attempt_id IS NOT NULL;
-- The latest sessions of a user at a lesson, and those that an assignment may credit.
CREATE INDEX session_by_user_and_lesson ON watch_session (user_id, lesson_id, started_at);
-- A user's unassigned history, the newest first.
CREATE INDEX unassigned_session_by_user ON watch_session (user_id, session_id) WHERE NOT is_assigned;
-- Who watched a lesson, for its engagement; and who completed it.
CREATE INDEX session_by_lesson ON watch_session (lesson_id);
CREATE INDEX completed_attempt_by_lesson ON lesson_attempt (lesson_id, user_id) WHERE status = 'completed';
-- The sweep looks at the open sessions only, however many ended.
CREATE INDEX open_session ON watch_session (session_id) WHERE status = 'open';

ALTER TABLE watch_session ALTER user_id SET (n_distinct = -0.02);

-- A stretch of the video that was really played, at one speed: what everything else is computed from. Written once,
-- never changed. No foreign key: the statement that inserts it has the session's row locked.
CREATE TABLE watch_segment (
    session_id      uuid          NOT NULL,                        -- in which session
    client_event_id uuid          NOT NULL,                        -- the client's; sent again it is a duplicate
    user_id         text          NOT NULL,                        -- the session's
    start_ms        int           NOT NULL,                        -- where in the video it starts
    end_ms          int           NOT NULL,                        -- where it ends; beyond the video is kept as sent
    effective_ms    int           NOT NULL,                        -- the time it took: (end - start) / speed
    speed           numeric(6, 4) NOT NULL,                        -- 2 is twice as fast
    occurred_at     timestamptz   NOT NULL,                        -- by the client's clock, or else recorded_at and
                                                                   -- the place in the request in microseconds
    recorded_at     timestamptz   NOT NULL,                        -- when the server wrote it; within a session in
                                                                   -- the order of the writes
    PRIMARY KEY (session_id, client_event_id, user_id),
    CONSTRAINT segment_starts_in_the_video CHECK (start_ms >= 0),
    CONSTRAINT segment_ends_after_it_starts CHECK (end_ms > start_ms),
    CONSTRAINT segment_ends_within_a_day CHECK (end_ms <= 86400000),
    CONSTRAINT speed_is_one_that_browsers_play CHECK (speed BETWEEN 0.0625 AND 16),
    CONSTRAINT effective_time_is_length_over_speed
        CHECK (2 * abs(effective_ms * speed - (end_ms - start_ms)) <= speed)
) PARTITION BY RANGE (session_id);

-- A jump of the playhead, judged when it arrived. Written once, never changed.
CREATE TABLE seek_event (
    session_id      uuid         NOT NULL,                         -- in which session
    client_event_id uuid         NOT NULL,                         -- the client's, or made of the request's content
    user_id         text         NOT NULL,                         -- the session's
    from_ms         int          NOT NULL,                         -- where in the video it started
    to_ms           int          NOT NULL,                         -- where it went
    skipped_ms      int          NOT NULL,                         -- how much unwatched video it left out then
    is_skip         boolean      NOT NULL,                         -- whether that was more than the lesson's
                                                                   -- threshold
    allowed         boolean      NOT NULL,                         -- false if the lesson's policy or the client says
    reason          text,                                          -- why not: beyond_verified, policy_violation, or
                                                                   -- in the client's words
    occurred_at     timestamptz  NOT NULL,                         -- as a segment's
    recorded_at     timestamptz  NOT NULL,                         -- as a segment's
    PRIMARY KEY (session_id, client_event_id, user_id),
    CONSTRAINT seek_starts_in_the_video CHECK (from_ms BETWEEN 0 AND 86400000),
    CONSTRAINT seek_ends_in_the_video CHECK (to_ms BETWEEN 0 AND 86400000),
    CONSTRAINT only_a_forward_seek_skips CHECK (skipped_ms BETWEEN 0 AND greatest(to_ms - from_ms, 0)),
    CONSTRAINT reason_has_1_to_200_characters CHECK (length(reason) BETWEEN 1 AND 200)
) PARTITION BY RANGE (session_id);

-- A session's skips.
CREATE INDEX seek_by_session_and_skip ON seek_event (session_id, is_skip);

-- Both are partitioned by the month of the session, which its id tells, see ensure_month. What belongs to one session
-- lies in one partition, whenever it arrives; a month whose time is over is archived and its partition dropped.
-- The default ones take what has no month of its own, so that nothing is ever refused for want of one.
CREATE TABLE watch_segment_default PARTITION OF watch_segment DEFAULT;
CREATE TABLE seek_event_default PARTITION OF seek_event DEFAULT;

-- plpgsql where a query is needed inside: its plan is kept for the connection, an SQL function's is not before 18.
-- SQL where an expression will do: the planner puts it in place.

-- The part of a coverage that lies in the lesson; all of it while the duration is unknown.
CREATE FUNCTION clip(coverage int4multirange, duration_ms int) RETURNS int4multirange
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coverage * int4multirange(int4range(0, duration_ms));

CREATE FUNCTION length_ms(coverage int4multirange) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (SELECT coalesce(sum(upper(part) - lower(part)), 0) FROM unnest(coverage) AS part);
END
$$;

-- Verified progress: the end of the unbroken coverage that starts at 0, gaps of up to a second bridged.
-- Every part is drawn out by that second, and so is the empty start; what then hangs together with 0 is unbroken.
CREATE FUNCTION verified_ms(coverage int4multirange) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (
        SELECT upper(bridged) - 1000
        FROM unnest('{[0,1000)}'::int4multirange + coalesce(
            (SELECT range_agg(int4range(lower(part), upper(part) + 1000)) FROM unnest(coverage) AS part), '{}'
        )) AS bridged
        WHERE lower(bridged) = 0
    );
END
$$;

-- What is left to watch; null while the duration is unknown. Players report the end up to a second early,
-- so when only that last second is missing, nothing is.
CREATE FUNCTION missing(coverage int4multirange, duration_ms int) RETURNS int4multirange
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN duration_ms IS NULL THEN NULL
        WHEN coverage @> int4range(0, greatest(duration_ms - 1000, 1)) THEN '{}'::int4multirange
        ELSE int4multirange(int4range(0, duration_ms)) - coverage
    END;

-- How much of the lesson is covered, rounded down so that 1 means all of it; null while the duration is unknown.
CREATE FUNCTION coverage_ratio(coverage int4multirange, duration_ms int) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN missing(coverage, duration_ms) = '{}' THEN 1
        ELSE trunc(length_ms(clip(coverage, duration_ms))::numeric / duration_ms, 6)
    END;

-- A coverage as JSON: [[start_ms, end_ms], …]; null stays null.
CREATE FUNCTION parts(coverage int4multirange) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(lower(part), upper(part)) ORDER BY part), '[]')
        FROM unnest(coverage) AS part
    );
END
$$;

-- The first so many milliseconds of a coverage, in the video's order; all of it without a limit.
CREATE FUNCTION leading_ms(coverage int4multirange, limit_ms int) RETURNS int4multirange
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    IF limit_ms IS NULL OR length_ms(coverage) <= limit_ms THEN
        RETURN coverage;
    END IF;
    RETURN (
        SELECT coalesce(range_agg(int4range(lower(part), (least(upper(part), lower(part) + limit_ms - before))::int)), '{}')
        FROM (
            SELECT part, sum(upper(part) - lower(part)) OVER (ORDER BY part) - (upper(part) - lower(part)) AS before
            FROM unnest(coverage) AS part
        ) AS placed
        WHERE before < limit_ms
    );
END
$$;

-- An attempt's totals, recomputed from its sessions. In an assigned attempt count the assigned sessions and those
-- credited to it, the credited coverage up to the attempt's limit; in an unassigned one all of its own.
--
-- ended_only   leave out the sessions that are open: what the attempt's row holds
-- honest_only  leave out the sessions that claim more than the wall clock allows
--
-- One SELECT, STABLE, not STRICT: the planner puts it in place of the call.
CREATE FUNCTION attempt_total(of_attempt_id uuid, of_user_id text, ended_only boolean, honest_only boolean)
    RETURNS TABLE (
        coverage int4multirange,
        effective_ms bigint,
        last_position_ms int,
        last_position_at timestamptz,
        exceeds_wall_clock_ms bigint
    )
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        coalesce(range_agg(s.coverage) FILTER (WHERE NOT s.is_credited), '{}')
        + leading_ms(coalesce(range_agg(s.coverage) FILTER (WHERE s.is_credited), '{}'), min(a.credit_limit_ms)),
        coalesce(sum(s.effective_ms), 0)::bigint,
        (array_agg(s.last_position_ms ORDER BY s.last_position_at DESC NULLS LAST, s.session_id DESC))[1],
        max(s.last_position_at),
        coalesce(sum(s.exceeds_wall_clock_ms), 0)::bigint
    FROM lesson_attempt AS a
    CROSS JOIN LATERAL (
        SELECT
            own.session_id, own.status, own.coverage, own.effective_ms,
            own.last_position_ms, own.last_position_at, own.exceeds_wall_clock_ms,
            false AS is_credited
        FROM watch_session AS own
        WHERE own.attempt_id = a.attempt_id AND own.user_id = a.user_id
            AND (own.is_assigned OR NOT a.is_assigned)
        UNION ALL
        SELECT
            credited.session_id, credited.status, credited.coverage, credited.effective_ms,
            credited.last_position_ms, credited.last_position_at, credited.exceeds_wall_clock_ms,
            true AS is_credited
        FROM watch_session AS credited
        WHERE credited.credited_attempt_id = a.attempt_id AND credited.user_id = a.user_id
    ) AS s
    WHERE a.attempt_id = of_attempt_id AND a.user_id = of_user_id
        AND (s.status <> 'open' OR NOT ended_only)
        AND (s.exceeds_wall_clock_ms = 0 OR NOT honest_only);
END;

-- What a session watched again (two or more of its segments lie there) and what its skips jumped over, from its raw
-- rows. Behind the furthest end so far nothing is seen twice, so each segment is compared with that only.
--
-- Planned at each call, when the session is known: only its month's partitions are opened and locked.
CREATE FUNCTION session_ground(
    of_session_id uuid, of_user_id text, OUT rewatched int4multirange, OUT jumped_over int4multirange
)
    LANGUAGE plpgsql STABLE SET plan_cache_mode = 'force_custom_plan'
AS $$
BEGIN
    SELECT coalesce(range_agg(int4range(g.start_ms, least(g.end_ms, g.reach))), '{}') INTO rewatched
    FROM (
        SELECT
            start_ms,
            end_ms,
            max(end_ms) OVER (ORDER BY start_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
        FROM watch_segment
        WHERE session_id = of_session_id AND user_id = of_user_id
    ) AS g
    WHERE g.reach > g.start_ms;
    SELECT coalesce(range_agg(int4range(k.from_ms, k.to_ms)), '{}') INTO jumped_over
    FROM seek_event AS k
    WHERE k.session_id = of_session_id AND k.user_id = of_user_id AND k.is_skip;
END
$$;

-- The first seeks of a session that were skips or not allowed, in the order they occurred; planned as the above.
CREATE FUNCTION session_skips(of_session_id uuid, of_user_id text, at_most int)
    RETURNS TABLE (
        from_ms int,
        to_ms int,
        skipped_ms int,
        is_skip boolean,
        allowed boolean,
        reason text,
        occurred_at timestamptz,
        recorded_at timestamptz,
        client_event_id uuid
    )
    LANGUAGE plpgsql STABLE ROWS 10 SET plan_cache_mode = 'force_custom_plan'
AS $$
BEGIN
    RETURN QUERY
    SELECT
        k.from_ms, k.to_ms, k.skipped_ms, k.is_skip, k.allowed, k.reason, k.occurred_at, k.recorded_at,
        k.client_event_id
    FROM seek_event AS k
    WHERE k.session_id = of_session_id AND k.user_id = of_user_id AND (k.is_skip OR NOT k.allowed)
    ORDER BY k.occurred_at, k.client_event_id
    LIMIT at_most;
END
$$;

-- Session ids are UUIDv7: the first 48 bits are the milliseconds since 1970, so a month of sessions is a range of ids.

CREATE FUNCTION month_starts_at_id(month date) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rpad(lpad(to_hex(extract(epoch FROM month)::bigint * 1000), 12, '0'), 32, '0')::uuid;

-- The month that a session belongs to, in UTC.
CREATE FUNCTION month_of_id(session_id uuid) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_trunc('month', to_timestamp(
        ('x' || left(replace(session_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
    ) AT TIME ZONE 'UTC')::date;

-- Make sure that the partitions of a month exist. `there`: they did; `made`; `busy`: somebody used the tables for
-- so long that the others would have had to wait, so nothing was done.
--
-- A month that has not begun is attached beside the writers. One that has may have rows in the default partition:
-- writers wait at the door, before they choose a partition, while these move.
CREATE FUNCTION ensure_month(month date, OUT outcome text, OUT rows_moved bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '500ms' SET search_path = public, pg_temp
AS $$
DECLARE
    first_day date := date_trunc('month', month);
    first_id uuid := month_starts_at_id(first_day);
    end_id uuid := month_starts_at_id((first_day + interval '1 month')::date);
    parent text;
    of_month text;
    moved bigint;
BEGIN
    outcome := 'there';
    rows_moved := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        of_month := parent || to_char(first_day, '_YYYYMM');
        CONTINUE WHEN EXISTS (  -- to_regclass may remember what was there before we waited for the lock
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent::regclass AND c.relname = of_month
        );
        IF first_day <= (clock_timestamp() AT TIME ZONE 'UTC')::date + 1 THEN
            EXECUTE format('LOCK TABLE ONLY %I IN SHARE ROW EXCLUSIVE MODE', parent);
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', of_month, parent);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE session_id >= %L AND session_id < %L RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved',
            parent || '_default', first_id, end_id, of_month
        );
        GET DIAGNOSTICS moved = ROW_COUNT;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, of_month, first_id, end_id
        );
        outcome := 'made';
        rows_moved := rows_moved + moved;
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    outcome := 'busy';
    rows_moved := 0;
END
$$;

-- What becomes of a month that was archived, and how it comes back. Only archived_at, not these, says where its rows
-- are: a month is dropped while its sessions bear the moment of an archive that was read back.

-- Drop a month's partitions. `dropped`; `gone`: there were none; `changed`: not all of its sessions were archived at
-- this moment; `busy`: somebody used the tables for so long that the others would have had to wait.
--
-- The month's own tables are locked first, where nobody else waits, and their parents last and for a moment.
CREATE FUNCTION drop_month(month date, sealed_at timestamptz) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '500ms' SET search_path = public, pg_temp
AS $$
DECLARE
    end_day date := month + interval '1 month';
    parents text[];
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    parents := ARRAY(
        SELECT p FROM unnest(ARRAY['watch_segment', 'seek_event']) AS p
        WHERE EXISTS (  -- to_regclass may remember what was there before we waited for the lock
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = p::regclass AND c.relname = p || to_char(month, '_YYYYMM')
        )
    );
    IF parents = '{}' THEN
        RETURN 'gone';
    END IF;
    IF EXISTS (
        SELECT FROM watch_session AS s
        WHERE s.session_id >= month_starts_at_id(month) AND s.session_id < month_starts_at_id(end_day)
            AND s.archived_at IS DISTINCT FROM sealed_at
    ) THEN
        RETURN 'changed';
    END IF;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || to_char(month, '_YYYYMM'));
    END LOOP;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, parent || to_char(month, '_YYYYMM'));
        EXECUTE format('DROP TABLE %I', parent || to_char(month, '_YYYYMM'));
    END LOOP;
    RETURN 'dropped';
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
END
$$;

-- Make the tables that a month's rows are restored into: restored_watch_segment and restored_seek_event.
CREATE FUNCTION stage_month(month date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL, CONSTRAINT %I CHECK (session_id >= %L AND session_id < %L))',
            'restored_' || parent, parent, 'lies_in_its_month',
            month_starts_at_id(month), month_starts_at_id((month + interval '1 month')::date)
        );
    END LOOP;
END
$$;

-- Make these the month's partitions. That their rows lie in the month is known, so nobody waits for a scan.
CREATE FUNCTION attach_month(month date) RETURNS void
    LANGUAGE plpgsql SET lock_timeout = '5s'
AS $$
DECLARE
    parent text;
    of_month text;
    index_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        of_month := parent || to_char(month, '_YYYYMM');
        EXECUTE format('ALTER TABLE %I RENAME TO %I', 'restored_' || parent, of_month);
        FOR index_name IN
            SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
            WHERE i.indrelid = of_month::regclass
        LOOP
            EXECUTE format(
                'ALTER INDEX %I RENAME TO %I', index_name, replace(index_name, 'restored_' || parent, of_month)
            );
        END LOOP;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, of_month, month_starts_at_id(month), month_starts_at_id((month + interval '1 month')::date)
        );
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', of_month, 'lies_in_its_month');
    END LOOP;
END
$$;
