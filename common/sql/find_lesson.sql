-- A lesson and its policy.
--
-- :lesson_id  text
-- one row or none: lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold,
--   credit_window_days, max_credit_ratio, integrity_policy
SELECT
    lesson_id,
    duration_ms,
    seek_policy,
    skip_threshold_ms,
    completion_threshold::float8 AS completion_threshold,
    credit_window_days,
    max_credit_ratio::float8 AS max_credit_ratio,
    integrity_policy
FROM lesson
WHERE lesson_id = :lesson_id
