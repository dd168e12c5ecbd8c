-- The session that a user's Idempotency-Key opened.
--
-- :user_id          text
-- :idempotency_key  text or null: no session has it
-- one row or none: session_id
SELECT session_id FROM watch_session WHERE user_id = :user_id AND idempotency_key = :idempotency_key
