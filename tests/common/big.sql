-- Two years of watching: 5,000 users at 5,000 lessons, two attempts each, 20,000 sessions, a million segments; and
-- one user who opened every lesson, 5,000 sessions; and one lesson that 10,000 learners watched, every other one twice.

SELECT ensure_month((date_trunc('month', statement_timestamp()) - n * interval '1 month')::date)
FROM generate_series(0, 25) AS n;

INSERT INTO lesson (lesson_id, duration_ms)
SELECT 'lesson-' || n, 600000 FROM generate_series(0, 4999) AS n;

INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no, status, completed_at, is_assigned, assigned_at)
SELECT
    md5('attempt' || n)::uuid,
    'user-' || n / 2,
    'lesson-' || n * 7 / 2 % 5000,
    n % 2 + 1,
    CASE WHEN n % 2 = 0 THEN 'completed' ELSE 'active' END,
    CASE WHEN n % 2 = 0 THEN statement_timestamp() END,
    n % 16 = 1,
    CASE WHEN n % 16 = 1 THEN statement_timestamp() END
FROM generate_series(0, 9999) AS n;

INSERT INTO watch_session (
    session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, last_heartbeat_at, closed_at,
    coverage, effective_ms, segment_count, seek_count, idempotency_key
)
SELECT
    (
        lpad(to_hex((extract(epoch FROM opened.at) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15)
    )::uuid,
    a.user_id, a.attempt_id, a.lesson_id, a.is_assigned,
    CASE WHEN n < 19500 THEN 'closed' ELSE 'open' END,
    opened.at, opened.at, CASE WHEN n < 19500 THEN opened.at END,
    '{[0,50000)}', 50000, 50, 4, 'key-' || n
FROM generate_series(0, 19999) AS n
CROSS JOIN LATERAL (SELECT statement_timestamp() - (20000 - n) * interval '52 minutes' AS at) AS opened
INNER JOIN lesson_attempt AS a ON a.attempt_id = md5('attempt' || n / 2)::uuid;

INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no)
SELECT md5('eager' || n)::uuid, 'eager', 'lesson-' || n, 1 FROM generate_series(0, 4999) AS n;

INSERT INTO watch_session (session_id, user_id, attempt_id, lesson_id, is_assigned, started_at, idempotency_key)
SELECT
    (lpad(to_hex((extract(epoch FROM opened.at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 19))::uuid,
    'eager', md5('eager' || n)::uuid, 'lesson-' || n, false, opened.at, 'eager-' || n
FROM generate_series(0, 4999) AS n
CROSS JOIN LATERAL (SELECT statement_timestamp() - (5000 - n) * interval '3 hours' AS at) AS opened;

INSERT INTO lesson (lesson_id, duration_ms) VALUES ('crowded', 600000);

INSERT INTO lesson_attempt (attempt_id, user_id, lesson_id, attempt_no)
SELECT md5('learner' || n)::uuid, 'learner-' || n, 'crowded', 1 FROM generate_series(0, 9999) AS n;

INSERT INTO watch_session (
    session_id, user_id, attempt_id, lesson_id, is_assigned, status, closed_at, coverage, rewatched, jumped_over,
    idempotency_key
)
SELECT
    md5('crowded' || n)::uuid, 'learner-' || n % 10000, md5('learner' || n % 10000)::uuid, 'crowded', false, 'closed',
    statement_timestamp(), '{[0,90000),[100000,200000),[300000,400000),[500000,570000)}', '{[10000,30000),[550000,570000)}',
    '{[200000,300000)}', 'crowded-' || n
FROM generate_series(0, 14999) AS n;

-- Many times faster than to keep the index up to date.
ALTER TABLE watch_segment DROP CONSTRAINT watch_segment_pkey;

INSERT INTO watch_segment
SELECT
    s.session_id, event.id, s.user_id, event.n * 1000, event.n * 1000 + 1000, 1000, 1, s.started_at, s.started_at
FROM watch_session AS s
CROSS JOIN (SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(0, 49) AS n) AS event
WHERE s.user_id LIKE 'user-%';

ALTER TABLE watch_segment ADD PRIMARY KEY (session_id, client_event_id, user_id);

INSERT INTO seek_event
SELECT
    s.session_id, event.id, s.user_id, event.n * 1000, 60000, 10000, true, false, 'beyond_verified',
    s.started_at, s.started_at
FROM watch_session AS s
CROSS JOIN (SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(0, 3) AS n) AS event
WHERE s.user_id LIKE 'user-%';

SET default_statistics_target = 10;

ANALYZE lesson, lesson_attempt, watch_session, watch_segment, seek_event;
