-- Take an assignment back from all attempts of a user at a lesson; one that was made for its credit and that nothing
-- was watched in and nobody completed is removed.
--
-- The attempts were locked and the sessions taken back by earlier statements of the transaction.
--
-- :user_id    text
-- :lesson_id  text
-- many rows, those that stay, the latest first: attempt_id, attempt_no
WITH removed AS (
    DELETE FROM lesson_attempt AS a
    WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
        AND a.is_assigned AND a.made_for_credit AND a.status = 'active'
        AND NOT EXISTS (
            SELECT FROM watch_session AS s
            WHERE s.attempt_id = a.attempt_id AND s.user_id = a.user_id
        )
    RETURNING a.attempt_id
),

turned AS (
    UPDATE lesson_attempt AS a
    SET is_assigned = false, assigned_at = NULL, credit_limit_ms = NULL, made_for_credit = false
    WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
        AND a.is_assigned
        AND a.attempt_id NOT IN (SELECT removed.attempt_id FROM removed)
    RETURNING a.attempt_id
)

SELECT a.attempt_id, a.attempt_no
FROM lesson_attempt AS a
WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
    AND a.attempt_id NOT IN (SELECT removed.attempt_id FROM removed)
ORDER BY a.attempt_no DESC
