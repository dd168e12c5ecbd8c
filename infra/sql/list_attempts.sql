-- A user's attempts and the totals that are stored with them.
--
-- :user_id  text
-- many rows: attempt_id, lesson_id, status, is_assigned, credit_limit_ms, coverage (as text), effective_ms,
--   last_position_ms, last_position_at
SELECT
    attempt_id,
    lesson_id,
    status,
    is_assigned,
    credit_limit_ms,
    coverage::text AS coverage,
    effective_ms,
    last_position_ms,
    last_position_at
FROM lesson_attempt
WHERE user_id = :user_id
ORDER BY lesson_id, attempt_no
