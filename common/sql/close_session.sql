-- End a session; one that has ended keeps its end. A stale one ended with its last sign of life.
--
-- :session_id  uuid
-- :user_id     text
-- one row: session_id, status
UPDATE watch_session
SET
    status = 'closed',
    closed_at = coalesce(closed_at, statement_timestamp()),
    last_heartbeat_at = CASE WHEN status = 'open' THEN statement_timestamp() ELSE last_heartbeat_at END
WHERE session_id = :session_id AND user_id = :user_id
RETURNING session_id, status
