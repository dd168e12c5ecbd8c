-- Seal the sessions of a range that ended: from now on they take no progress, for their raw rows are in the archive
-- of this moment. Waits for who writes to them.
--
-- :first      uuid
-- :last       uuid  the first one after the range
-- :sealed_at  timestamptz or null  only those that were sealed at this moment; null: that were not
-- :moment     timestamptz
-- one row: sessions
WITH sealed AS (
    UPDATE watch_session AS s
    SET archived_at = :moment
    WHERE s.session_id >= :first AND s.session_id < :last
        AND s.status <> 'open' AND s.archived_at IS NOT DISTINCT FROM :sealed_at::timestamptz
    RETURNING s.session_id
)

SELECT count(*) AS sessions FROM sealed
