-- Whose an attempt is, for callers who may act for users.
--
-- :attempt_id  uuid
-- one row or none: user_id
SELECT user_id FROM lesson_attempt WHERE attempt_id = :attempt_id
