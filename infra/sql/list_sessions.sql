-- A user's sessions and the totals that are stored with them.
--
-- :user_id  text
-- many rows: session_id, attempt_id, credited_attempt_id, is_assigned, status, started_at, archived_at,
--   coverage (as text), effective_ms, exceeds_wall_clock_ms, segment_count, seek_count, skip_count,
--   rewatched (as text), jumped_over (as text), last_position_ms, last_position_at
SELECT
    session_id,
    attempt_id,
    credited_attempt_id,
    is_assigned,
    status,
    started_at,
    archived_at,
    coverage::text AS coverage,
    effective_ms,
    exceeds_wall_clock_ms,
    segment_count,
    seek_count,
    skip_count,
    rewatched::text AS rewatched,
    jumped_over::text AS jumped_over,
    last_position_ms,
    last_position_at
FROM watch_session
WHERE user_id = :user_id
ORDER BY session_id
