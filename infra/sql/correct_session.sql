-- Write a session's totals; the caller has locked it and its attempts.
--
-- :session_id, :user_id                                     uuid, text
-- :coverage, :rewatched, :jumped_over                       text of an int4multirange
-- :effective_ms, :exceeds_wall_clock_ms                     bigint
-- :segment_count, :seek_count, :skip_count                  int
-- :last_position_ms, :last_position_at                      int and timestamptz, or null
-- no row
UPDATE watch_session
SET
    coverage = :coverage::int4multirange,
    effective_ms = :effective_ms,
    exceeds_wall_clock_ms = :exceeds_wall_clock_ms,
    segment_count = :segment_count,
    seek_count = :seek_count,
    skip_count = :skip_count,
    rewatched = :rewatched::int4multirange,
    jumped_over = :jumped_over::int4multirange,
    last_position_ms = :last_position_ms,
    last_position_at = :last_position_at
WHERE session_id = :session_id AND user_id = :user_id
