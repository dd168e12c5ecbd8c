-- A session's seeks, a page at a time.
--
-- :session_id  uuid
-- :user_id     text
-- :first       uuid  the first event id of the page
-- :limit       int
-- many rows: partition_oid, client_event_id, from_ms, to_ms, is_skip
SELECT tableoid AS partition_oid, client_event_id, from_ms, to_ms, is_skip
FROM seek_event
WHERE session_id = :session_id AND user_id = :user_id AND client_event_id >= :first
ORDER BY client_event_id
LIMIT :limit
