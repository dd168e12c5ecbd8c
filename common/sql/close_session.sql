-- End a session; one that has ended keeps its end. A stale one ended with its last sign of life.
--
-- Not before that: progress may have been recorded while this statement waited for the session.
--
-- :session_id  uuid
-- :user_id     text
-- one row: session_id, status
UPDATE watch_session
SET
    status = 'closed',
    closed_at = coalesce(closed_at, greatest(last_heartbeat_at, statement_timestamp())),
    last_heartbeat_at = CASE
        WHEN status = 'open' THEN greatest(last_heartbeat_at, statement_timestamp()) ELSE last_heartbeat_at
    END
WHERE session_id = :session_id AND user_id = :user_id
RETURNING session_id, status
