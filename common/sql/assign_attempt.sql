-- Make the current attempt an assigned one: the latest if it is assigned already or still active, else a new one.
-- The limit of its credit is fixed now, by the lesson's policy of today.
--
-- The attempts were locked by an earlier statement of the transaction. No row: somebody else opened the attempt at
-- this very moment; do it again.
--
-- :attempt_id  uuid  of the attempt if one is made
-- :user_id     text
-- :lesson_id   text
-- one row or none: attempt_id
WITH latest AS (
    SELECT a.attempt_id, a.attempt_no, a.status, a.is_assigned
    FROM lesson_attempt AS a
    WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
    ORDER BY a.attempt_no DESC
    LIMIT 1
),

policy AS (
    SELECT
        l.lesson_id,
        CASE WHEN l.max_credit_ratio < 1 THEN floor(l.max_credit_ratio * l.duration_ms)::int END AS credit_limit_ms
    FROM lesson AS l
    WHERE l.lesson_id = :lesson_id
),

made AS (
    INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms)
    SELECT
        :attempt_id,
        :user_id,
        policy.lesson_id,
        coalesce((SELECT latest.attempt_no FROM latest), 0) + 1,
        true,
        policy.credit_limit_ms
    FROM policy
    WHERE NOT EXISTS (SELECT FROM latest WHERE latest.is_assigned OR latest.status = 'active')
    ON CONFLICT DO NOTHING
    RETURNING attempt_id
),

turned AS (
    UPDATE lesson_attempt AS a
    SET is_assigned = true, credit_limit_ms = policy.credit_limit_ms
    FROM latest
    CROSS JOIN policy
    WHERE a.attempt_id = latest.attempt_id AND a.user_id = :user_id
        AND latest.status = 'active' AND NOT latest.is_assigned
    RETURNING a.attempt_id
)

SELECT made.attempt_id FROM made
UNION ALL
SELECT turned.attempt_id FROM turned
UNION ALL
SELECT latest.attempt_id FROM latest WHERE latest.is_assigned
