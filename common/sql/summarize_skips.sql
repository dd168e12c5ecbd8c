-- What a session jumped over, and how much of that is unwatched to this day. Skips are counted as they were judged
-- when they arrived; "still unwatched" is computed now, each second once, so that a skip watched later is healed.
--
-- :session_id  uuid
-- :user_id     text
-- one row or none: session_id, archived_at, seek_count, skip_count, disallowed_count, skipped_ms, still_unwatched_ms,
--   skips (jsonb), their members named as in models.Skip; the first 1000, in the order they occurred
SELECT
    s.session_id,
    s.archived_at,
    s.seek_count,
    s.skip_count,
    seeks.disallowed_count,
    seeks.skipped_ms,
    length_ms(seeks.jumped_over - seen.coverage) AS still_unwatched_ms,
    skips.listed AS skips
FROM watch_session AS s
INNER JOIN lesson AS l ON s.lesson_id = l.lesson_id
CROSS JOIN LATERAL attempt_total(s.attempt_id, s.user_id, false, false) AS total
CROSS JOIN LATERAL (SELECT total.coverage + s.coverage AS coverage) AS seen
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE NOT e.allowed)::int AS disallowed_count,
        coalesce(sum(e.skipped_ms) FILTER (WHERE e.is_skip), 0)::bigint AS skipped_ms,
        clip(coalesce(
            range_agg(int4range(e.from_ms, e.to_ms)) FILTER (WHERE e.is_skip), '{}'
        ), l.duration_ms) AS jumped_over
    FROM seek_event AS e
    WHERE e.session_id = :session_id AND e.user_id = :user_id
) AS seeks
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(
        jsonb_build_object(
            'from_ms', e.from_ms,
            'to_ms', e.to_ms,
            'skipped_ms', e.skipped_ms,
            'still_unwatched_ms', length_ms(
                clip(int4multirange(int4range(e.from_ms, e.to_ms)), l.duration_ms) - seen.coverage
            ),
            'allowed', e.allowed,
            'reason', e.reason,
            'occurred_at', e.occurred_at
        ) ORDER BY e.occurred_at, e.client_event_id
    ), '[]') AS listed
    FROM (
        SELECT k.from_ms, k.to_ms, k.skipped_ms, k.allowed, k.reason, k.occurred_at, k.client_event_id
        FROM seek_event AS k
        WHERE k.session_id = :session_id AND k.user_id = :user_id AND k.is_skip
        ORDER BY k.occurred_at, k.client_event_id
        LIMIT 1000
    ) AS e
) AS skips
WHERE s.session_id = :session_id AND s.user_id = :user_id
