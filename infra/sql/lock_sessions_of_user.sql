-- Lock all sessions of a user, so that nothing is recorded in them meanwhile; the attempts were locked before.
--
-- :user_id  text
-- many rows: session_id
SELECT session_id
FROM watch_session
WHERE user_id = :user_id
ORDER BY session_id
FOR NO KEY UPDATE
