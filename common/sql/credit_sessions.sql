-- Credit a user's unassigned sessions of the policy's window to an assigned attempt; a credited one stays where it is.
--
-- The attempts were locked by an earlier statement of the transaction.
--
-- :attempt_id  uuid
-- :user_id     text
-- :lesson_id   text
-- many rows: session_id
UPDATE watch_session AS s
SET credited_attempt_id = a.attempt_id
FROM lesson_attempt AS a
INNER JOIN lesson AS l ON a.lesson_id = l.lesson_id
WHERE a.attempt_id = :attempt_id AND a.user_id = :user_id
    AND s.user_id = :user_id AND s.lesson_id = :lesson_id
    AND NOT s.is_assigned AND s.credited_attempt_id IS NULL
    AND s.started_at >= a.assigned_at - l.credit_window_days * interval '1 day'
RETURNING s.session_id
