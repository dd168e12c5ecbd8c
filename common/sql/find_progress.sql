-- A user's latest attempt at a lesson: its totals with the open sessions live, what is missing, its latest sessions.
--
-- :user_id    text
-- :lesson_id  text
-- one row or none: user_id, lesson_id, duration_ms, attempt (jsonb), aggregates (jsonb), sessions (jsonb), their
--   members named as in models.Progress
SELECT
    a.user_id,
    a.lesson_id,
    l.duration_ms,
    jsonb_build_object(
        'attempt_id', a.attempt_id,
        'attempt_no', a.attempt_no,
        'status', a.status,
        'is_assigned', a.is_assigned,
        'started_at', a.started_at,
        'completed_at', a.completed_at
    ) AS attempt,
    jsonb_build_object(
        'coverage_ms', length_ms(seen.coverage),
        'effective_ms', total.effective_ms,
        'coverage_ratio', coverage_ratio(total.coverage, l.duration_ms),
        'max_verified_ms', verified_ms(seen.coverage),
        'resume_ms',
        CASE WHEN total.last_position_ms > l.duration_ms THEN l.duration_ms ELSE total.last_position_ms END,
        'watched_ranges', parts(seen.coverage),
        'missing_ranges', parts(missing(total.coverage, l.duration_ms)),
        'integrity', CASE WHEN total.exceeds_wall_clock_ms > 0 THEN 'exceeds_wall_clock' ELSE 'plausible' END,
        'exceeds_wall_clock_ms', total.exceeds_wall_clock_ms,
        'completion_ratio', coverage_ratio(judged.coverage, l.duration_ms),
        'completion_threshold', l.completion_threshold
    ) AS aggregates,
    coalesce(listed.sessions, '[]') AS sessions
FROM (
    SELECT
        latest.attempt_id,
        latest.user_id,
        latest.lesson_id,
        latest.attempt_no,
        latest.status,
        latest.is_assigned,
        latest.started_at,
        latest.completed_at
    FROM lesson_attempt AS latest
    WHERE latest.user_id = :user_id AND latest.lesson_id = :lesson_id
    ORDER BY latest.attempt_no DESC
    LIMIT 1
) AS a
INNER JOIN lesson AS l ON a.lesson_id = l.lesson_id
CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, false) AS total
CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, l.integrity_policy = 'exclude') AS judged
CROSS JOIN LATERAL (SELECT clip(total.coverage, l.duration_ms) AS coverage) AS seen
CROSS JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_object(
            'session_id', s.session_id,
            'status', s.status,
            'started_at', s.started_at,
            'last_heartbeat_at', s.last_heartbeat_at,
            'closed_at', s.closed_at,
            'coverage_ms', length_ms(clip(s.coverage, l.duration_ms)),
            'effective_ms', s.effective_ms,
            'skip_count', s.skip_count,
            'integrity', CASE WHEN s.exceeds_wall_clock_ms > 0 THEN 'exceeds_wall_clock' ELSE 'plausible' END
        ) ORDER BY s.session_id DESC
    ) AS sessions
    FROM (
        SELECT
            recent.session_id,
            recent.status,
            recent.started_at,
            recent.last_heartbeat_at,
            recent.closed_at,
            recent.coverage,
            recent.effective_ms,
            recent.skip_count,
            recent.exceeds_wall_clock_ms
        FROM watch_session AS recent
        WHERE recent.attempt_id = a.attempt_id AND recent.user_id = a.user_id
        ORDER BY recent.session_id DESC
        LIMIT 100
    ) AS s
) AS listed
