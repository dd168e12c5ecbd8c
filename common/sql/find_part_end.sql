-- Where a part of a range of sessions ends that has so many events, or a little more; a session is not divided, and
-- weighs as much as five events itself.
--
-- :first   uuid
-- :last    uuid  the first one after the range
-- :events  bigint
-- one row or none (the rest of the range is no more than that): session_id, the first one after the part
SELECT w.session_id
FROM (
    SELECT
        s.session_id,
        sum(s.segment_count + s.seek_count + 5)
            OVER (ORDER BY s.session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM watch_session AS s
    WHERE s.session_id >= :first AND s.session_id < :last
) AS w
WHERE w.before >= :events
ORDER BY w.session_id
LIMIT 1
