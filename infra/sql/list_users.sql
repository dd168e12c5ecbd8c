-- The users of whom anything is recorded, a page at a time; no session is without an attempt.
--
-- :after  text  only users behind this one; '' for the first page
-- :limit  int
-- many rows: user_id
SELECT DISTINCT user_id
FROM lesson_attempt
WHERE user_id > :after
ORDER BY user_id
LIMIT :limit
