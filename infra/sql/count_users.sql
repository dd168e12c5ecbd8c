-- Of how many users anything is recorded.
--
-- one row: users
SELECT count(DISTINCT user_id) AS users FROM lesson_attempt
