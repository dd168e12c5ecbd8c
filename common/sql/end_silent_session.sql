-- End an open session that gave no sign of life for a while, with its last one; if it spoke meanwhile, nothing happens.
--
-- Its attempts were locked by an earlier statement of the transaction.
--
-- :session_id  uuid
-- :user_id     text
-- :silent_s    int   seconds
-- one row or none: session_id
UPDATE watch_session
SET status = 'stale', closed_at = last_heartbeat_at
WHERE session_id = :session_id AND user_id = :user_id
    AND status = 'open'
    AND last_heartbeat_at < statement_timestamp() - :silent_s::int * interval '1 second'
RETURNING session_id
