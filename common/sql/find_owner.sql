-- Whose a session is, for callers who may act for users; every other statement is told the user.
--
-- :session_id  uuid
-- one row or none: user_id
SELECT user_id FROM watch_session WHERE session_id = :session_id
