-- A user's unassigned sessions, the newest first, a page at a time.
--
-- Either half of the page is empty, and found to be so without looking.
--
-- :user_id    text
-- :lesson_id  text or null  only of this lesson
-- :before     uuid or null  only older than this session
-- :limit      int
-- many rows: lesson_id, attempt_id, session_id, status, started_at, closed_at, coverage_ms, effective_ms,
--   credited_attempt_id
WITH page AS (
    (
        SELECT s.session_id
        FROM watch_session AS s
        WHERE s.user_id = :user_id
            AND NOT s.is_assigned
            AND :lesson_id::text IS NULL
            AND s.session_id < coalesce(:before::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        ORDER BY s.session_id DESC
        LIMIT :limit
    )
    UNION ALL
    (
        SELECT s.session_id
        FROM watch_session AS s
        WHERE s.user_id = :user_id
            AND NOT s.is_assigned
            AND s.lesson_id = :lesson_id
            AND s.session_id < coalesce(:before::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        ORDER BY s.session_id DESC
        LIMIT :limit
    )
)

SELECT
    s.lesson_id,
    s.attempt_id,
    s.session_id,
    s.status,
    s.started_at,
    s.closed_at,
    length_ms(clip(s.coverage, l.duration_ms)) AS coverage_ms,
    s.effective_ms,
    s.credited_attempt_id
FROM page
INNER JOIN watch_session AS s ON page.session_id = s.session_id AND s.user_id = :user_id
INNER JOIN lesson AS l ON s.lesson_id = l.lesson_id
ORDER BY s.session_id DESC
