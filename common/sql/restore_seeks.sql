-- Take seeks into the staged table; the columns are those of the archive.
--
-- no row
COPY restored_seek_event (
    session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at, recorded_at
) FROM STDIN WITH (FORMAT csv)
