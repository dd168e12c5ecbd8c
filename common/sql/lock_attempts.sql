-- Lock all attempts of a user at a lesson: first thing in a transaction that changes which sessions count in them.
--
-- :user_id    text
-- :lesson_id  text
-- many rows: attempt_id
SELECT attempt_id
FROM lesson_attempt
WHERE user_id = :user_id AND lesson_id = :lesson_id
ORDER BY attempt_no
FOR NO KEY UPDATE
