-- Open a session in the user's active attempt at the lesson, or in a new attempt if none is active.
--
-- The same key again finds the session that it opened. An attempt after an assigned one is assigned too. The latest
-- attempt is locked against being assigned, completed or taken away meanwhile, not against other starts.
-- No row: somebody else opened the attempt or used the key at this very moment (do it again), or the lesson is
-- not known.
--
-- :session_id         uuid   of the session if one is opened
-- :attempt_id         uuid   of the attempt if one is opened
-- :user_id            text
-- :lesson_id          text
-- :idempotency_key    text
-- :client_info        jsonb or null
-- :client_started_at  timestamptz or null
-- one row or none: session_id, attempt_id, lesson_id, is_replay, attempt_no, is_assigned, resume_ms,
--   max_verified_ms, coverage_ratio, seek_policy
WITH replayed AS (
    SELECT s.session_id, s.attempt_id, s.lesson_id, s.is_assigned
    FROM watch_session AS s
    WHERE s.user_id = :user_id AND s.idempotency_key = :idempotency_key
),

latest AS (
    SELECT a.attempt_id, a.attempt_no, a.status, a.is_assigned, a.assigned_at
    FROM lesson_attempt AS a
    WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
    ORDER BY a.attempt_no DESC
    LIMIT 1
    FOR SHARE
),

opened AS (
    INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no, is_assigned, assigned_at)
    SELECT
        :attempt_id,
        :user_id,
        l.lesson_id,
        coalesce((SELECT latest.attempt_no FROM latest), 0) + 1,
        coalesce((SELECT latest.is_assigned FROM latest), false),
        (SELECT latest.assigned_at FROM latest)
    FROM lesson AS l
    WHERE l.lesson_id = :lesson_id
        AND NOT EXISTS (SELECT FROM replayed)
        AND NOT EXISTS (SELECT FROM latest WHERE latest.status = 'active')
    ON CONFLICT DO NOTHING
    RETURNING attempt_id, attempt_no, is_assigned
),

current_attempt AS (
    SELECT opened.attempt_id, opened.attempt_no, opened.is_assigned FROM opened
    UNION ALL
    SELECT latest.attempt_id, latest.attempt_no, latest.is_assigned FROM latest WHERE latest.status = 'active'
),

started AS (
    INSERT INTO watch_session (
        session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, client_info, client_started_at
    )
    SELECT
        :session_id,
        :user_id,
        c.attempt_id,
        :lesson_id,
        c.is_assigned,
        :idempotency_key,
        :client_info::jsonb,
        :client_started_at
    FROM current_attempt AS c
    WHERE NOT EXISTS (SELECT FROM replayed)
    ON CONFLICT DO NOTHING
    RETURNING session_id, attempt_id, lesson_id, is_assigned
),

answered AS (
    SELECT started.*, false AS is_replay FROM started
    UNION ALL
    SELECT replayed.*, true AS is_replay FROM replayed
)

SELECT
    s.session_id,
    s.attempt_id,
    s.lesson_id,
    s.is_replay,
    coalesce(a.attempt_no, (SELECT opened.attempt_no FROM opened)) AS attempt_no,
    s.is_assigned,
    CASE WHEN total.last_position_ms > l.duration_ms THEN l.duration_ms ELSE total.last_position_ms END AS resume_ms,
    verified_ms(clip(coalesce(total.coverage, '{}'), l.duration_ms)) AS max_verified_ms,
    coverage_ratio(coalesce(total.coverage, '{}'), l.duration_ms)::float8 AS coverage_ratio,
    l.seek_policy
FROM answered AS s
INNER JOIN lesson AS l ON s.lesson_id = l.lesson_id
LEFT JOIN lesson_attempt AS a ON s.attempt_id = a.attempt_id AND a.user_id = :user_id
LEFT JOIN LATERAL attempt_total(s.attempt_id, :user_id, false, false) AS total ON true
