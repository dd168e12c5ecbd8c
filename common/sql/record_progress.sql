-- Record what a session played and where it jumped; a retry changes nothing.
--
-- The session's row is locked first, so that writers take turns; only what was really inserted is added to it.
-- Its moment is read after the lock was had: the order of `recorded_at` is the order of the writes.
-- No row: the user has no such session, it takes no progress as it is, or it was archived.
--
-- :session_id  uuid
-- :user_id     text
-- :events      jsonb  {segments: [{client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at}],
--                     seeks: [{client_event_id, from_ms, to_ms, allowed, reason, occurred_at}]}
-- :ended       boolean  false: only an open session; true: an ended one too, the caller has locked its attempts
-- one row or none: session_id, attempt_id, status, late, accepted, coverage_ms, effective_ms, max_verified_ms,
--   resume_ms (the attempt's, with this session's live), seek_policy
WITH session AS MATERIALIZED (
    SELECT
        s.attempt_id,
        s.status,
        s.started_at,
        s.coverage,
        s.is_assigned,
        s.is_assigned OR NOT a.is_assigned OR (s.credited_attempt_id IS NOT DISTINCT FROM a.attempt_id) AS counts,
        -- its coverage is then left to the next reading of the whole attempt
        NOT s.is_assigned AND a.credit_limit_ms IS NOT NULL AS is_limited,
        a.coverage AS attempt_coverage,
        a.effective_ms AS attempt_effective_ms,
        a.last_position_ms AS attempt_position_ms,
        a.last_position_at AS attempt_position_at,
        l.duration_ms,
        l.seek_policy,
        l.skip_threshold_ms
    FROM watch_session AS s
    INNER JOIN lesson_attempt AS a ON s.attempt_id = a.attempt_id AND s.user_id = a.user_id
    INNER JOIN lesson AS l ON s.lesson_id = l.lesson_id
    WHERE s.session_id = :session_id AND s.user_id = :user_id
        AND (s.status = 'open' OR :ended::boolean) AND s.archived_at IS NULL
    FOR NO KEY UPDATE OF s
),

moment AS MATERIALIZED (
    SELECT clock_timestamp() AS recorded_at FROM session
),

new_segment AS (
    INSERT INTO watch_segment (
        session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
    )
    SELECT
        :session_id,
        sent.client_event_id,
        :user_id,
        sent.start_ms,
        sent.end_ms,
        sent.effective_ms,
        sent.speed,
        coalesce(sent.occurred_at, moment.recorded_at + sent.place * interval '1 microsecond'),
        moment.recorded_at
    FROM moment
    CROSS JOIN ROWS FROM (jsonb_to_recordset(:events::jsonb -> 'segments') AS (
        client_event_id uuid, start_ms int, end_ms int, effective_ms int, speed numeric, occurred_at timestamptz
    )) WITH ORDINALITY AS sent (client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at, place)
    ON CONFLICT DO NOTHING
    RETURNING start_ms, end_ms, effective_ms, occurred_at, recorded_at
),

gained AS MATERIALIZED (
    SELECT
        count(*) AS segments,
        coalesce(range_agg(int4range(start_ms, end_ms)), '{}') AS coverage,
        coalesce(sum(effective_ms), 0) AS effective_ms
    FROM new_segment
),

latest AS (
    SELECT end_ms, least(occurred_at, recorded_at) AS at
    FROM new_segment
    ORDER BY occurred_at DESC, end_ms DESC
    LIMIT 1
),

new_seek AS (
    INSERT INTO seek_event (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    )
    SELECT
        :session_id,
        judged.client_event_id,
        :user_id,
        judged.from_ms,
        judged.to_ms,
        judged.skipped_ms,
        judged.skipped_ms > judged.skip_threshold_ms,
        coalesce(judged.allowed, true) AND judged.violation IS NULL,
        CASE WHEN judged.allowed THEN coalesce(judged.violation, judged.reason)
            ELSE coalesce(judged.reason, judged.violation) END,
        coalesce(judged.occurred_at, moment.recorded_at + judged.place * interval '1 microsecond'),
        moment.recorded_at
    FROM moment
    CROSS JOIN (
        SELECT
            skipped.*,
            CASE
                WHEN skipped.skipped_ms <= 1000 THEN NULL
                WHEN NOT skipped.is_assigned THEN 'beyond_verified'
                WHEN skipped.seek_policy IN ('flag', 'block') THEN 'policy_violation'
            END AS violation
        FROM (
            SELECT
                sent.client_event_id,
                sent.from_ms,
                sent.to_ms,
                sent.allowed,
                sent.reason,
                sent.occurred_at,
                sent.place,
                session.is_assigned,
                session.seek_policy,
                session.skip_threshold_ms,
                CASE WHEN sent.to_ms > sent.from_ms THEN length_ms(
                    clip(int4multirange(int4range(sent.from_ms, sent.to_ms)), session.duration_ms)
                    - session.attempt_coverage - session.coverage - gained.coverage
                ) ELSE 0 END AS skipped_ms
            FROM session
            CROSS JOIN gained
            CROSS JOIN ROWS FROM (jsonb_to_recordset(:events::jsonb -> 'seeks') AS (
                client_event_id uuid, from_ms int, to_ms int, allowed boolean, reason text, occurred_at timestamptz
            )) WITH ORDINALITY AS sent (client_event_id, from_ms, to_ms, allowed, reason, occurred_at, place)
        ) AS skipped
    ) AS judged
    ON CONFLICT DO NOTHING
    RETURNING is_skip
),

jumped AS MATERIALIZED (
    SELECT count(*) AS seeks, count(*) FILTER (WHERE is_skip) AS skips FROM new_seek
),

updated AS (
    UPDATE watch_session AS s
    SET
        coverage = s.coverage + gained.coverage,
        effective_ms = s.effective_ms + gained.effective_ms,
        segment_count = s.segment_count + gained.segments,
        seek_count = s.seek_count + jumped.seeks,
        skip_count = s.skip_count + jumped.skips,
        exceeds_wall_clock_ms = greatest(
            s.exceeds_wall_clock_ms,
            s.effective_ms + gained.effective_ms - 30000
            - floor(extract(epoch FROM moment.recorded_at - s.started_at) * 1000)::bigint
        ),
        last_position_ms = CASE WHEN latest.at >= s.last_position_at OR s.last_position_at IS NULL
            THEN coalesce(latest.end_ms, s.last_position_ms) ELSE s.last_position_ms END,
        last_position_at = greatest(s.last_position_at, latest.at),
        status = CASE WHEN s.status = 'closed' THEN 'closed' ELSE 'open' END,
        closed_at = CASE WHEN s.status = 'closed' THEN s.closed_at END,
        last_heartbeat_at = CASE WHEN s.status = 'closed' THEN s.last_heartbeat_at ELSE moment.recorded_at END
    FROM moment
    CROSS JOIN gained
    CROSS JOIN jumped
    LEFT JOIN latest ON true
    WHERE s.session_id = :session_id AND s.user_id = :user_id
    RETURNING s.status, s.coverage, s.effective_ms, s.last_position_ms, s.last_position_at
)

SELECT
    :session_id::uuid AS session_id,
    session.attempt_id,
    updated.status,
    session.status = 'closed' AS late,
    (gained.segments + jumped.seeks)::int AS accepted,
    length_ms(total.coverage) AS coverage_ms,
    session.attempt_effective_ms + CASE
        WHEN NOT session.counts THEN 0
        WHEN session.status = 'open' THEN updated.effective_ms
        ELSE gained.effective_ms
    END AS effective_ms,
    verified_ms(total.coverage) AS max_verified_ms,
    CASE WHEN latest_position.ms > session.duration_ms THEN session.duration_ms ELSE latest_position.ms END
        AS resume_ms,
    session.seek_policy
FROM updated
CROSS JOIN session
CROSS JOIN gained
CROSS JOIN jumped
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN session.counts
                AND (updated.last_position_at >= session.attempt_position_at OR session.attempt_position_at IS NULL)
                THEN updated.last_position_ms
            ELSE session.attempt_position_ms
        END AS ms
) AS latest_position
CROSS JOIN LATERAL (
    SELECT clip(
        session.attempt_coverage
        + CASE WHEN session.counts AND NOT session.is_limited THEN updated.coverage ELSE '{}' END,
        session.duration_ms
    ) AS coverage
) AS total
