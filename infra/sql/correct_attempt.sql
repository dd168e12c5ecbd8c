-- Write an attempt's totals; the caller has locked it.
--
-- :attempt_id, :user_id                 uuid, text
-- :coverage                             text of an int4multirange
-- :effective_ms                         bigint
-- :last_position_ms, :last_position_at  int and timestamptz, or null
-- no row
UPDATE lesson_attempt
SET
    coverage = :coverage::int4multirange,
    effective_ms = :effective_ms,
    last_position_ms = :last_position_ms,
    last_position_at = :last_position_at
WHERE attempt_id = :attempt_id AND user_id = :user_id
