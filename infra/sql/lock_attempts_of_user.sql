-- Lock all attempts of a user: first thing, and in each lesson in the order that the service locks them in.
--
-- :user_id  text
-- many rows: attempt_id
SELECT attempt_id
FROM lesson_attempt
WHERE user_id = :user_id
ORDER BY lesson_id, attempt_no
FOR NO KEY UPDATE
