-- What each session watched again and jumped over, and a lesson's sessions by an index.
--
-- It commits on its way, so that nobody waits for the longer half; every statement may be run again.

ALTER TABLE watch_session
    ADD COLUMN IF NOT EXISTS rewatched int4multirange NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS jumped_over int4multirange NOT NULL DEFAULT '{}';

-- What a session watched again (two or more of its segments lie there) and what its skips jumped over, from its raw
-- rows. Behind the furthest end so far nothing is seen twice, so each segment is compared with that only.
--
-- Planned at each call, when the session is known: only its month's partitions are opened and locked.
CREATE OR REPLACE FUNCTION session_ground(
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
CREATE OR REPLACE FUNCTION session_skips(of_session_id uuid, of_user_id text, at_most int)
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

-- squawk-ignore transaction-nesting
COMMIT;

-- Neither has a column that progress or a heartbeat changes: both stay HOT updates. Not concurrently: that waits for
-- everybody's snapshots, and who waits for this migration's lock has one.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS session_by_lesson ON watch_session (lesson_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX IF NOT EXISTS completed_attempt_by_lesson ON lesson_attempt (lesson_id, user_id)
    WHERE status = 'completed';

-- squawk-ignore transaction-nesting
COMMIT;

-- The sessions that ended before. The functions that run until the deploy do not know of it: what they end meanwhile
-- `python -m infra.recount --fix` catches up on.
UPDATE watch_session AS s
SET rewatched = ground.rewatched, jumped_over = ground.jumped_over
FROM (
    SELECT
        coalesce(a.session_id, j.session_id) AS session_id,
        coalesce(a.user_id, j.user_id) AS user_id,
        coalesce(a.rewatched, '{}') AS rewatched,
        coalesce(j.jumped_over, '{}') AS jumped_over
    FROM (
        SELECT g.session_id, g.user_id, range_agg(int4range(g.start_ms, least(g.end_ms, g.reach))) AS rewatched
        FROM (
            SELECT
                session_id,
                user_id,
                start_ms,
                end_ms,
                max(end_ms) OVER (
                    PARTITION BY session_id, user_id
                    ORDER BY start_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS reach
            FROM watch_segment
        ) AS g
        WHERE g.reach > g.start_ms
        GROUP BY g.session_id, g.user_id
    ) AS a
    FULL JOIN (
        SELECT session_id, user_id, range_agg(int4range(from_ms, to_ms)) AS jumped_over
        FROM seek_event
        WHERE is_skip
        GROUP BY session_id, user_id
    ) AS j ON a.session_id = j.session_id AND a.user_id = j.user_id
) AS ground
WHERE s.session_id = ground.session_id AND s.user_id = ground.user_id AND s.status <> 'open';
