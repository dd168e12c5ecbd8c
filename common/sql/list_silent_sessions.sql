-- Open sessions that gave no sign of life for a while, a page at a time; only open ones are looked at.
--
-- :after     uuid  only younger than this session
-- :silent_s  int   seconds
-- :limit     int
-- many rows, the oldest first: session_id, user_id
SELECT session_id, user_id
FROM watch_session
WHERE status = 'open'
    AND session_id > :after
    AND last_heartbeat_at < statement_timestamp() - :silent_s::int * interval '1 second'
ORDER BY session_id
LIMIT :limit
