-- Take segments into the staged table; the columns are those of the archive.
--
-- no row
COPY restored_watch_segment (
    session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at
) FROM STDIN WITH (FORMAT csv)
