-- What is known of a user at a lesson: the latest 20 attempts, each with its totals, its ground and what is missing,
-- and of the latest 100 sessions those that were opened in it or credited to it. One statement, one snapshot.
--
-- Of a session that ended, what it watched again and jumped over was noted; of one that is open it is asked of its raw
-- rows. An attempt's ground is that of all sessions that count in it.
--
-- :user_id    text
-- :lesson_id  text
-- one row or none: user_id, lesson_id, duration_ms, policy (jsonb), is_assigned, attempts (jsonb), truncated, their
--   members named as in models.Evidence
WITH attempt AS MATERIALIZED (
    SELECT
        a.attempt_id,
        a.user_id,
        a.attempt_no,
        a.status,
        a.is_assigned,
        a.started_at,
        a.completed_at,
        a.credit_limit_ms
    FROM lesson_attempt AS a
    WHERE a.user_id = :user_id AND a.lesson_id = :lesson_id
    ORDER BY a.attempt_no DESC
    LIMIT 20
),

session AS MATERIALIZED (
    SELECT
        s.session_id,
        s.user_id,
        s.attempt_id,
        s.credited_attempt_id,
        s.status,
        s.is_assigned,
        s.archived_at,
        s.started_at,
        s.closed_at,
        s.last_heartbeat_at,
        s.client_info,
        s.coverage,
        s.effective_ms,
        s.exceeds_wall_clock_ms,
        s.seek_count,
        s.skip_count,
        ground.rewatched,
        ground.jumped_over,
        row_number() OVER (ORDER BY s.session_id DESC) AS place
    FROM watch_session AS s
    CROSS JOIN LATERAL (
        SELECT s.rewatched, s.jumped_over
        WHERE s.status <> 'open'
        UNION ALL
        SELECT g.rewatched, g.jumped_over
        FROM session_ground(s.session_id, s.user_id) AS g
        WHERE s.status = 'open'
    ) AS ground
    WHERE s.user_id = :user_id AND s.lesson_id = :lesson_id
),

-- Which session belongs to which attempt, and whether it counts there; one may count in two.
part AS MATERIALIZED (
    SELECT
        a.attempt_id AS of_attempt_id,
        coalesce(s.credited_attempt_id = a.attempt_id, false) AS is_credited,
        coalesce(s.credited_attempt_id = a.attempt_id, false) OR s.is_assigned OR NOT a.is_assigned AS counts,
        s.session_id,
        s.coverage,
        s.rewatched,
        s.jumped_over
    FROM attempt AS a
    INNER JOIN session AS s ON a.attempt_id = s.attempt_id OR a.attempt_id = s.credited_attempt_id
)

SELECT
    :user_id::text AS user_id,
    l.lesson_id,
    l.duration_ms,
    jsonb_build_object(
        'lesson_id', l.lesson_id,
        'duration_ms', l.duration_ms,
        'seek_policy', l.seek_policy,
        'skip_threshold_ms', l.skip_threshold_ms,
        'completion_threshold', l.completion_threshold,
        'credit_window_days', l.credit_window_days,
        'max_credit_ratio', l.max_credit_ratio,
        'integrity_policy', l.integrity_policy
    ) AS policy,
    (SELECT a.is_assigned FROM attempt AS a ORDER BY a.attempt_no DESC LIMIT 1) AS is_assigned,
    told.attempts,
    (SELECT coalesce(max(s.place), 0) > 100 FROM session AS s) OR EXISTS (
        SELECT FROM lesson_attempt AS older
        WHERE older.user_id = :user_id AND older.lesson_id = :lesson_id
            AND older.attempt_no < (SELECT min(a.attempt_no) FROM attempt AS a)
    ) AS truncated
FROM lesson AS l
CROSS JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_object(
            'attempt_id', a.attempt_id,
            'attempt_no', a.attempt_no,
            'status', a.status,
            'is_assigned', a.is_assigned,
            'started_at', a.started_at,
            'completed_at', a.completed_at,
            'coverage_ms', length_ms(seen.coverage),
            'coverage_ratio', coverage_ratio(total.coverage, l.duration_ms),
            'effective_ms', total.effective_ms,
            'max_verified_ms', verified_ms(seen.coverage),
            'resume_ms',
            CASE WHEN total.last_position_ms > l.duration_ms THEN l.duration_ms ELSE total.last_position_ms END,
            'coverage', parts(seen.coverage),
            'rewatched', parts(ground.rewatched * seen.coverage),
            'skipped', parts(clip(ground.jumped_over, l.duration_ms) - seen.coverage - ground.coverage),
            'missing', jsonb_build_object(
                'threshold_ratio', l.completion_threshold,
                'completion_ratio', judged.ratio,
                'short_ms',
                CASE
                    WHEN a.status = 'completed' OR l.completion_threshold IS NULL THEN 0
                    WHEN judged.ratio >= l.completion_threshold THEN 0
                    -- enough for the ratio, or all but the last second: whichever is less
                    ELSE least(
                        ceil(l.completion_threshold * l.duration_ms)::int
                        - length_ms(clip(judged.coverage, l.duration_ms)),
                        length_ms(clip(missing(judged.coverage, l.duration_ms), greatest(l.duration_ms - 1000, 1)))
                    )
                END,
                'unwatched', parts(missing(judged.coverage, l.duration_ms))
            ),
            'credited_ms', length_ms(clip(leading_ms(ground.credit, a.credit_limit_ms), l.duration_ms)),
            'integrity', CASE WHEN total.exceeds_wall_clock_ms > 0 THEN 'exceeds_wall_clock' ELSE 'plausible' END,
            'exceeds_wall_clock_ms', total.exceeds_wall_clock_ms,
            'sessions', coalesce(listed.sessions, '[]')
        ) ORDER BY a.attempt_no DESC
    ) AS attempts
    FROM attempt AS a
    CROSS JOIN LATERAL attempt_total(a.attempt_id, a.user_id, false, false) AS total
    CROSS JOIN LATERAL (
        SELECT honest.coverage, coverage_ratio(honest.coverage, l.duration_ms) AS ratio
        FROM attempt_total(a.attempt_id, a.user_id, false, l.integrity_policy = 'exclude') AS honest
    ) AS judged
    CROSS JOIN LATERAL (SELECT clip(total.coverage, l.duration_ms) AS coverage) AS seen
    CROSS JOIN LATERAL (
        SELECT
            coalesce(range_agg(p.coverage), '{}') AS coverage,
            coalesce(range_agg(p.coverage) FILTER (WHERE p.is_credited), '{}') AS credit,
            coalesce(range_agg(p.rewatched), '{}') + coalesce(range_agg(p.coverage * p.coverage_before), '{}')
                AS rewatched,
            coalesce(range_agg(p.jumped_over), '{}') AS jumped_over
        FROM (
            SELECT
                part.coverage,
                part.is_credited,
                part.rewatched,
                part.jumped_over,
                range_agg(part.coverage) OVER (
                    ORDER BY part.session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS coverage_before
            FROM part
            WHERE part.of_attempt_id = a.attempt_id AND part.counts
        ) AS p
    ) AS ground
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(
            jsonb_build_object(
                'session_id', s.session_id,
                'attempt_id', s.attempt_id,
                'attempt_no', own.attempt_no,
                'status', s.status,
                'is_assigned', s.is_assigned,
                'credited_attempt_id', s.credited_attempt_id,
                'is_archived', s.archived_at IS NOT NULL,
                'started_at', s.started_at,
                'ended_at', s.closed_at,
                'last_heartbeat_at', s.last_heartbeat_at,
                'client_info', s.client_info,
                'coverage_ms', length_ms(clip(s.coverage, l.duration_ms)),
                'effective_ms', s.effective_ms,
                -- whatever ends a session, it ended with its last sign of life
                'wall_clock_ms', floor(extract(epoch FROM s.last_heartbeat_at - s.started_at) * 1000)::bigint,
                'integrity', CASE WHEN s.exceeds_wall_clock_ms > 0 THEN 'exceeds_wall_clock' ELSE 'plausible' END,
                'exceeds_wall_clock_ms', s.exceeds_wall_clock_ms,
                'coverage', parts(clip(s.coverage, l.duration_ms)),
                'rewatched', parts(clip(s.rewatched, l.duration_ms)),
                'seek_count', s.seek_count,
                'skip_count', s.skip_count,
                'counts', judgement.why_not IS NULL,
                'why_not', judgement.why_not,
                'skips', CASE WHEN s.archived_at IS NULL THEN coalesce(jumps.skips, '[]') END
            ) ORDER BY s.session_id DESC
        ) AS sessions
        FROM part
        INNER JOIN session AS s ON part.session_id = s.session_id AND s.place <= 100
        INNER JOIN lesson_attempt AS own ON s.attempt_id = own.attempt_id AND s.user_id = own.user_id
        CROSS JOIN LATERAL (
            SELECT
                CASE
                    WHEN NOT part.counts THEN 'unassigned'
                    WHEN s.exceeds_wall_clock_ms > 0 AND l.integrity_policy = 'exclude' THEN 'integrity'
                END AS why_not
        ) AS judgement
        CROSS JOIN LATERAL (
            SELECT jsonb_agg(
                jsonb_build_object(
                    'from_ms', k.from_ms,
                    'to_ms', k.to_ms,
                    'skipped_ms', k.skipped_ms,
                    'still_unwatched_ms', length_ms(
                        clip(int4multirange(int4range(k.from_ms, greatest(k.from_ms, k.to_ms))), l.duration_ms)
                        - seen.coverage - s.coverage
                    ),
                    'is_skip', k.is_skip,
                    'allowed', k.allowed,
                    'reason', k.reason,
                    'occurred_at', k.occurred_at,
                    'received_at', k.recorded_at
                ) ORDER BY k.occurred_at, k.client_event_id
            ) AS skips
            FROM session_skips(s.session_id, s.user_id, 100) AS k
            WHERE s.seek_count > 0 AND s.archived_at IS NULL
        ) AS jumps
        WHERE part.of_attempt_id = a.attempt_id
    ) AS listed
) AS told
WHERE l.lesson_id = :lesson_id AND told.attempts IS NOT NULL
