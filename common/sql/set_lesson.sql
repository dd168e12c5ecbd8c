-- Write a lesson's policy whole.
--
-- :lesson_id, :seek_policy, :integrity_policy  text
-- :duration_ms                                 int or null: not known
-- :skip_threshold_ms, :credit_window_days      int
-- :completion_threshold                        numeric or null: none
-- :max_credit_ratio                            numeric
-- one row: as find_lesson
INSERT INTO lesson (
    lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days,
    max_credit_ratio, integrity_policy
)
VALUES (
    :lesson_id, :duration_ms, :seek_policy, :skip_threshold_ms, :completion_threshold, :credit_window_days,
    :max_credit_ratio, :integrity_policy
)
ON CONFLICT (lesson_id) DO UPDATE SET
    duration_ms = excluded.duration_ms,
    seek_policy = excluded.seek_policy,
    skip_threshold_ms = excluded.skip_threshold_ms,
    completion_threshold = excluded.completion_threshold,
    credit_window_days = excluded.credit_window_days,
    max_credit_ratio = excluded.max_credit_ratio,
    integrity_policy = excluded.integrity_policy,
    updated_at = statement_timestamp()
RETURNING
    lesson_id,
    duration_ms,
    seek_policy,
    skip_threshold_ms,
    completion_threshold::float8 AS completion_threshold,
    credit_window_days,
    max_credit_ratio::float8 AS max_credit_ratio,
    integrity_policy
