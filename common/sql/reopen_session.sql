-- Take a sign of life of a session that is open or had fallen silent; the caller has locked its attempts.
-- A closed or archived one stays as it is.
--
-- :session_id  uuid
-- :user_id     text
-- one row or none: session_id, status, last_heartbeat_at
UPDATE watch_session
SET status = 'open', closed_at = NULL, last_heartbeat_at = greatest(last_heartbeat_at, statement_timestamp())
WHERE session_id = :session_id AND user_id = :user_id AND status <> 'closed' AND archived_at IS NULL
RETURNING session_id, status, last_heartbeat_at
