-- Write a segment's effective time; the caller has locked its session.
--
-- :session_id, :client_event_id, :user_id  uuid, uuid, text
-- :effective_ms                            int
-- no row
UPDATE watch_segment
SET effective_ms = :effective_ms
WHERE session_id = :session_id AND client_event_id = :client_event_id AND user_id = :user_id
