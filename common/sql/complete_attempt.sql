-- Complete an attempt; a completed one keeps its moment.
--
-- :attempt_id  uuid
-- :user_id     text
-- one row: attempt_id, status, completed_at
UPDATE lesson_attempt
SET status = 'completed', completed_at = coalesce(completed_at, statement_timestamp())
WHERE attempt_id = :attempt_id AND user_id = :user_id
RETURNING attempt_id, status, completed_at
