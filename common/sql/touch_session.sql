-- Take a sign of life of an open session.
--
-- :session_id  uuid
-- :user_id     text
-- one row or none: session_id, status, last_heartbeat_at
UPDATE watch_session
SET last_heartbeat_at = greatest(last_heartbeat_at, statement_timestamp())
WHERE session_id = :session_id AND user_id = :user_id AND status = 'open'
RETURNING session_id, status, last_heartbeat_at
