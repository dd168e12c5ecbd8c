-- Make the current attempt an assigned one: the latest if it is assigned already or still active, else a new one.
-- The assignment's moment and the limit of its credit, by the lesson's policy of today, are fixed by the first time;
-- a share of a duration that is not known is nothing.
--
-- The attempts were locked by an earlier statement of the transaction. No row: somebody else opened the attempt at
-- this very moment (do it again), or the lesson is not known.
--
-- :attempt_id   uuid  of the attempt if one is made
-- :user_id      text
-- :lesson_id    text
-- :assigned_at  timestamptz or null: now
-- one row or none: attempt_id, is_assigned_now (false: it was before)
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
        CASE
            WHEN l.max_credit_ratio < 1 THEN floor(l.max_credit_ratio * coalesce(l.duration_ms, 0))::int
        END AS credit_limit_ms,
        coalesce(:assigned_at, statement_timestamp()) AS assigned_at
    FROM lesson AS l
    WHERE l.lesson_id = :lesson_id
),

made AS (
    INSERT INTO lesson_attempt (
        attempt_id, user_id, lesson_id, attempt_no, is_assigned, assigned_at, made_for_credit, credit_limit_ms
    )
    SELECT
        :attempt_id,
        :user_id,
        policy.lesson_id,
        coalesce((SELECT latest.attempt_no FROM latest), 0) + 1,
        true,
        policy.assigned_at,
        true,
        policy.credit_limit_ms
    FROM policy
    WHERE NOT EXISTS (SELECT FROM latest WHERE latest.is_assigned OR latest.status = 'active')
    ON CONFLICT DO NOTHING
    RETURNING attempt_id
),

turned AS (
    UPDATE lesson_attempt AS a
    SET is_assigned = true, assigned_at = policy.assigned_at, credit_limit_ms = policy.credit_limit_ms
    FROM latest
    CROSS JOIN policy
    WHERE a.attempt_id = latest.attempt_id AND a.user_id = :user_id
        AND latest.status = 'active' AND NOT latest.is_assigned
    RETURNING a.attempt_id
)

SELECT made.attempt_id, true AS is_assigned_now FROM made
UNION ALL
SELECT turned.attempt_id, true AS is_assigned_now FROM turned
UNION ALL
SELECT latest.attempt_id, false AS is_assigned_now FROM latest WHERE latest.is_assigned
