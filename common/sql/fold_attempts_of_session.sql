-- Fold the sessions that ended into the attempts that a session counts in; run twice, it gives the same totals.
-- If the session itself ended, what it watched again and jumped over is noted too, while its raw rows are there.
--
-- The attempts' rows and the session's were locked by earlier statements of the transaction: a statement sees only
-- what was committed when it began, so locking here would miss what another closer wrote.
--
-- :session_id  uuid
-- :user_id     text
-- many rows, one or two, the session's own attempt first: attempt_id, coverage_ms, effective_ms, coverage_ratio,
--   max_verified_ms
WITH noted AS (
    UPDATE watch_session AS s
    SET rewatched = ground.rewatched, jumped_over = ground.jumped_over
    FROM session_ground(:session_id, :user_id) AS ground
    WHERE s.session_id = :session_id AND s.user_id = :user_id
        AND s.status <> 'open' AND s.archived_at IS NULL
        AND (s.rewatched <> ground.rewatched OR s.jumped_over <> ground.jumped_over)
),

folded AS (
    UPDATE lesson_attempt AS a
    SET
        coverage = total.coverage,
        effective_ms = total.effective_ms,
        last_position_ms = total.last_position_ms,
        last_position_at = total.last_position_at
    FROM watch_session AS s
    INNER JOIN LATERAL unnest(ARRAY[s.attempt_id, s.credited_attempt_id]) AS target (attempt_id) ON true
    INNER JOIN LATERAL attempt_total(target.attempt_id, s.user_id, true, false) AS total ON true
    WHERE s.session_id = :session_id AND s.user_id = :user_id
        AND a.attempt_id = target.attempt_id AND a.user_id = :user_id
    RETURNING a.attempt_id, a.attempt_id = s.attempt_id AS is_own, a.lesson_id, a.coverage, a.effective_ms
)

SELECT
    folded.attempt_id,
    length_ms(clip(folded.coverage, l.duration_ms)) AS coverage_ms,
    folded.effective_ms,
    coverage_ratio(folded.coverage, l.duration_ms)::float8 AS coverage_ratio,
    verified_ms(clip(folded.coverage, l.duration_ms)) AS max_verified_ms
FROM folded
INNER JOIN lesson AS l ON folded.lesson_id = l.lesson_id
ORDER BY folded.is_own DESC
