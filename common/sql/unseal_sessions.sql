-- Let the sessions of a range take progress again that were sealed at a moment: their raw rows are back.
--
-- :first      uuid
-- :last       uuid  the first one after the range
-- :sealed_at  timestamptz
-- one row: sessions
WITH unsealed AS (
    UPDATE watch_session AS s
    SET archived_at = NULL
    WHERE s.session_id >= :first AND s.session_id < :last AND s.archived_at = :sealed_at
    RETURNING s.session_id
)

SELECT count(*) AS sessions FROM unsealed
