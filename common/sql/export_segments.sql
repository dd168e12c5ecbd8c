-- A page of segments as columns: each the binary form of its values, one after the other, in the order of session,
-- user and event. What is the same for a whole session comes once, with the number of its rows.
--
-- A page has `limit` rows, or a few more where a session has an event twice.
--
-- :first     uuid  the first session of the range
-- :last      uuid  the first one after it
-- :after     uuid  a page ended with this session …
-- :event_id  uuid  … and this event, in the order of session and event
-- :limit     int
-- one row: session_id, user_id, user_id_length, rows (each a bytea of one value for each session, null if there
--   is none), client_event_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at (… for each segment)
SELECT
    string_agg(uuid_send(g.session_id), NULL) AS session_id,
    string_agg(textsend(g.user_id), NULL) AS user_id,
    string_agg(int4send(octet_length(g.user_id)), NULL) AS user_id_length,
    string_agg(int4send(g.rows), NULL) AS rows,
    string_agg(g.client_event_id, NULL) AS client_event_id,
    string_agg(g.start_ms, NULL) AS start_ms,
    string_agg(g.end_ms, NULL) AS end_ms,
    string_agg(g.effective_ms, NULL) AS effective_ms,
    string_agg(g.speed, NULL) AS speed,
    string_agg(g.occurred_at, NULL) AS occurred_at,
    string_agg(g.recorded_at, NULL) AS recorded_at
FROM (
    SELECT
        p.session_id,
        p.user_id,
        count(*)::int AS rows,
        string_agg(uuid_send(p.client_event_id), NULL) AS client_event_id,
        string_agg(int4send(p.start_ms), NULL) AS start_ms,
        string_agg(int4send(p.end_ms), NULL) AS end_ms,
        string_agg(int4send(p.effective_ms), NULL) AS effective_ms,
        string_agg(int4send(CASE WHEN p.speed = 1 THEN 10000 ELSE (p.speed * 10000)::int END), NULL) AS speed,
        string_agg(timestamptz_send(p.occurred_at), NULL) AS occurred_at,
        string_agg(timestamptz_send(p.recorded_at), NULL) AS recorded_at
    FROM (
        SELECT
            f.session_id,
            f.client_event_id,
            f.user_id,
            f.start_ms,
            f.end_ms,
            f.effective_ms,
            f.speed,
            f.occurred_at,
            f.recorded_at
        FROM (
            SELECT
                e.session_id,
                e.client_event_id,
                e.user_id,
                e.start_ms,
                e.end_ms,
                e.effective_ms,
                e.speed,
                e.occurred_at,
                e.recorded_at
            FROM watch_segment AS e
            WHERE e.session_id >= :first AND e.session_id < :last
                AND (e.session_id, e.client_event_id) > (:after, :event_id)
            ORDER BY e.session_id, e.client_event_id
            FETCH FIRST :limit ROWS WITH TIES
        ) AS f
        ORDER BY f.session_id, f.user_id, f.client_event_id  -- the aggregates take them in as they come
    ) AS p
    GROUP BY p.session_id, p.user_id
    ORDER BY p.session_id, p.user_id
) AS g
