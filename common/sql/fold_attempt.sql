-- Fold the sessions that ended into an attempt; run twice, it gives the same totals.
--
-- The attempts were locked by an earlier statement of the transaction, see fold_attempts_of_session.
--
-- :attempt_id  uuid
-- :user_id     text
-- one row: attempt_id
UPDATE lesson_attempt AS a
SET
    coverage = total.coverage,
    effective_ms = total.effective_ms,
    last_position_ms = total.last_position_ms,
    last_position_at = total.last_position_at
FROM attempt_total(:attempt_id, :user_id, true, false) AS total
WHERE a.attempt_id = :attempt_id AND a.user_id = :user_id
RETURNING a.attempt_id
