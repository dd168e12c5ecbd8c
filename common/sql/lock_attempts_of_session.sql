-- Lock all attempts of a session's user and lesson: first thing in a transaction that ends, reopens or credits
-- sessions, so that the statement after it sees what the transactions before it committed.
--
-- What a statement reads is as of its beginning, so nothing about the session itself may be concluded from this one.
--
-- :session_id  uuid
-- :user_id     text
-- many rows, none if the user has no such session: attempt_id
SELECT a.attempt_id
FROM watch_session AS s
INNER JOIN lesson_attempt AS a ON s.user_id = a.user_id AND s.lesson_id = a.lesson_id
WHERE s.session_id = :session_id AND s.user_id = :user_id
ORDER BY a.attempt_no
FOR NO KEY UPDATE OF a
