-- A page of sessions' totals as columns, see export_segments, in the order of session and user.
--
-- :after  uuid  after this session
-- :last   uuid  before this one
-- :limit  int
-- one row: session_id, user_id, user_id_length, segment_count, effective_ms, coverage (text), coverage_length,
--   seek_count, skip_count (each a bytea, null if there is none)
SELECT
    string_agg(uuid_send(p.session_id), NULL) AS session_id,
    string_agg(textsend(p.user_id), NULL) AS user_id,
    string_agg(int4send(octet_length(p.user_id)), NULL) AS user_id_length,
    string_agg(int4send(p.segment_count), NULL) AS segment_count,
    string_agg(int8send(p.effective_ms), NULL) AS effective_ms,
    string_agg(textsend(p.coverage), NULL) AS coverage,
    string_agg(int4send(octet_length(p.coverage)), NULL) AS coverage_length,
    string_agg(int4send(p.seek_count), NULL) AS seek_count,
    string_agg(int4send(p.skip_count), NULL) AS skip_count
FROM (
    SELECT
        s.session_id,
        s.user_id,
        s.segment_count,
        s.effective_ms,
        s.coverage::text AS coverage,
        s.seek_count,
        s.skip_count
    FROM watch_session AS s
    WHERE s.session_id > :after AND s.session_id < :last
    ORDER BY s.session_id, s.user_id
    LIMIT :limit
) AS p
