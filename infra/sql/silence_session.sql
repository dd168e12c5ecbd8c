-- Let six minutes pass in which a session gives no sign of life, by moving its beginning and its last sign back.
--
-- :session_id  uuid
-- :user_id     text
-- no row
UPDATE watch_session
SET
    started_at = started_at - interval '6 minutes',
    last_heartbeat_at = last_heartbeat_at - interval '6 minutes'
WHERE session_id = :session_id AND user_id = :user_id AND status = 'open'
