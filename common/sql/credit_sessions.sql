-- Credit the unassigned sessions of the policy's window to an attempt; what is credited already stays where it is.
--
-- The attempts were locked by an earlier statement of the transaction.
--
-- :attempt_id   uuid
-- :user_id      text
-- :lesson_id    text
-- :assigned_at  timestamptz or null: now
-- many rows: session_id
UPDATE watch_session AS s
SET credited_attempt_id = :attempt_id
FROM lesson AS l
WHERE s.user_id = :user_id AND s.lesson_id = :lesson_id
    AND NOT s.is_assigned AND s.credited_attempt_id IS NULL
    AND l.lesson_id = :lesson_id
    AND s.started_at >= coalesce(:assigned_at, statement_timestamp()) - l.credit_window_days * interval '1 day'
RETURNING s.session_id
