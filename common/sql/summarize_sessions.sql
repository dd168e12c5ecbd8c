-- What the sessions of a range of ids come to.
--
-- :first  uuid
-- :last   uuid  the first one after them
-- one row: sessions, open_sessions, sealed_sessions, sealed_at, sealed_until (the first and the last moment at
--   which any were archived), segments, seeks, effective_ms
SELECT
    count(*) AS sessions,
    count(*) FILTER (WHERE s.status = 'open') AS open_sessions,
    count(s.archived_at) AS sealed_sessions,
    min(s.archived_at) AS sealed_at,
    max(s.archived_at) AS sealed_until,
    coalesce(sum(s.segment_count), 0)::bigint AS segments,
    coalesce(sum(s.seek_count), 0)::bigint AS seeks,
    coalesce(sum(s.effective_ms), 0)::bigint AS effective_ms
FROM watch_session AS s
WHERE s.session_id >= :first AND s.session_id < :last
