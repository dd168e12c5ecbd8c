-- Raw rows of a session that its user does not have.
--
-- many rows: session_id, user_id, events
SELECT e.session_id, e.user_id, count(*) AS events
FROM (
    SELECT g.session_id, g.user_id FROM watch_segment AS g
    UNION ALL
    SELECT k.session_id, k.user_id FROM seek_event AS k
) AS e
LEFT JOIN watch_session AS s ON e.session_id = s.session_id AND e.user_id = s.user_id
WHERE s.session_id IS NULL
GROUP BY e.session_id, e.user_id
ORDER BY e.session_id, e.user_id
