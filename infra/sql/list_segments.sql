-- A session's segments, a page at a time.
--
-- :session_id  uuid
-- :user_id     text
-- :first       uuid  the first event id of the page
-- :limit       int
-- many rows: partition_oid, client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
SELECT
    tableoid AS partition_oid,
    client_event_id,
    start_ms,
    end_ms,
    effective_ms,
    speed,
    occurred_at,
    recorded_at
FROM watch_segment
WHERE session_id = :session_id AND user_id = :user_id AND client_event_id >= :first
ORDER BY client_event_id
LIMIT :limit
