-- Make a lesson known with the default policy: the first time that anybody opens it.
--
-- :lesson_id  text
-- one row or none: lesson_id
INSERT INTO lesson (lesson_id)
VALUES (:lesson_id)
ON CONFLICT DO NOTHING
RETURNING lesson_id
