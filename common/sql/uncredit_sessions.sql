-- Take back what an assignment did to a user's sessions of a lesson: none is assigned or credited any more.
--
-- The attempts were locked by an earlier statement of the transaction.
--
-- :user_id    text
-- :lesson_id  text
-- many rows: session_id
UPDATE watch_session
SET is_assigned = false, credited_attempt_id = NULL
WHERE user_id = :user_id AND lesson_id = :lesson_id
    AND (is_assigned OR credited_attempt_id IS NOT NULL)
RETURNING session_id
