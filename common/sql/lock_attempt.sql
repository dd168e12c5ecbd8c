-- Lock an attempt of a user.
--
-- :attempt_id  uuid
-- :user_id     text
-- one row or none: attempt_id
SELECT attempt_id
FROM lesson_attempt
WHERE attempt_id = :attempt_id AND user_id = :user_id
FOR NO KEY UPDATE
