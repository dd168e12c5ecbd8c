-- A page of seeks as columns, see export_segments.
--
-- :first     uuid  the first session of the range
-- :last      uuid  the first one after it
-- :after     uuid  a page ended with this session …
-- :event_id  uuid  … and this event, in the order of session and event
-- :limit     int
-- one row: session_id, user_id, user_id_length, rows (each a bytea of one value for each session, null if there
--   is none), client_event_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, reason_length (-1: null),
--   occurred_at, recorded_at (… for each seek)
SELECT
    string_agg(uuid_send(g.session_id), NULL) AS session_id,
    string_agg(textsend(g.user_id), NULL) AS user_id,
    string_agg(int4send(octet_length(g.user_id)), NULL) AS user_id_length,
    string_agg(int4send(g.rows), NULL) AS rows,
    string_agg(g.client_event_id, NULL) AS client_event_id,
    string_agg(g.from_ms, NULL) AS from_ms,
    string_agg(g.to_ms, NULL) AS to_ms,
    string_agg(g.skipped_ms, NULL) AS skipped_ms,
    string_agg(g.is_skip, NULL) AS is_skip,
    string_agg(g.allowed, NULL) AS allowed,
    string_agg(g.reason, NULL) AS reason,
    string_agg(g.reason_length, NULL) AS reason_length,
    string_agg(g.occurred_at, NULL) AS occurred_at,
    string_agg(g.recorded_at, NULL) AS recorded_at
FROM (
    SELECT
        p.session_id,
        p.user_id,
        count(*)::int AS rows,
        string_agg(uuid_send(p.client_event_id), NULL) AS client_event_id,
        string_agg(int4send(p.from_ms), NULL) AS from_ms,
        string_agg(int4send(p.to_ms), NULL) AS to_ms,
        string_agg(int4send(p.skipped_ms), NULL) AS skipped_ms,
        string_agg(boolsend(p.is_skip), NULL) AS is_skip,
        string_agg(boolsend(p.allowed), NULL) AS allowed,
        string_agg(textsend(coalesce(p.reason, '')), NULL) AS reason,
        string_agg(int4send(coalesce(octet_length(p.reason), -1)), NULL) AS reason_length,
        string_agg(timestamptz_send(p.occurred_at), NULL) AS occurred_at,
        string_agg(timestamptz_send(p.recorded_at), NULL) AS recorded_at
    FROM (
        SELECT
            f.session_id,
            f.client_event_id,
            f.user_id,
            f.from_ms,
            f.to_ms,
            f.skipped_ms,
            f.is_skip,
            f.allowed,
            f.reason,
            f.occurred_at,
            f.recorded_at
        FROM (
            SELECT
                e.session_id,
                e.client_event_id,
                e.user_id,
                e.from_ms,
                e.to_ms,
                e.skipped_ms,
                e.is_skip,
                e.allowed,
                e.reason,
                e.occurred_at,
                e.recorded_at
            FROM seek_event AS e
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
