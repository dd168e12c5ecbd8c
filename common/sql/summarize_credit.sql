-- What an assigned attempt has of credit, and what it comes to at the moment, open sessions included.
--
-- :attempt_id  uuid
-- :user_id     text
-- one row: attempt_id, attempt_no, credited_sessions (jsonb, ids, the oldest first), credited_ms, coverage_ratio
SELECT
    a.attempt_id,
    a.attempt_no,
    credit.sessions AS credited_sessions,
    length_ms(clip(leading_ms(credit.coverage, a.credit_limit_ms), l.duration_ms)) AS credited_ms,
    coverage_ratio(total.coverage, l.duration_ms)::float8 AS coverage_ratio
FROM lesson_attempt AS a
INNER JOIN lesson AS l ON a.lesson_id = l.lesson_id
CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, false) AS total
CROSS JOIN LATERAL (
    SELECT
        coalesce(jsonb_agg(s.session_id ORDER BY s.session_id), '[]') AS sessions,
        coalesce(range_agg(s.coverage), '{}') AS coverage
    FROM watch_session AS s
    WHERE s.credited_attempt_id = a.attempt_id AND s.user_id = a.user_id
) AS credit
WHERE a.attempt_id = :attempt_id AND a.user_id = :user_id
