-- What an attempt comes to at the moment, open sessions included, and what completing it is judged by: with the
-- lesson's integrity policy `exclude`, sessions that claim more than the wall clock allows do not count for that.
--
-- :attempt_id  uuid
-- :user_id     text
-- one row or none: status, completed_at, coverage_ms, effective_ms, coverage_ratio, completion_threshold,
--   completion_ratio, completion_missing (jsonb [[start_ms, end_ms]], null while the duration is unknown)
SELECT
    a.status,
    a.completed_at,
    length_ms(clip(total.coverage, l.duration_ms)) AS coverage_ms,
    total.effective_ms,
    coverage_ratio(total.coverage, l.duration_ms)::float8 AS coverage_ratio,
    l.completion_threshold::float8 AS completion_threshold,
    coverage_ratio(judged.coverage, l.duration_ms)::float8 AS completion_ratio,
    parts(missing(judged.coverage, l.duration_ms)) AS completion_missing
FROM lesson_attempt AS a
INNER JOIN lesson AS l ON a.lesson_id = l.lesson_id
CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, false) AS total
CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, l.integrity_policy = 'exclude') AS judged
WHERE a.attempt_id = :attempt_id AND a.user_id = :user_id
