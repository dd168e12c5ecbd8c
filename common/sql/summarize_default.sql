-- What lies in the default partitions, by month: there is nothing when upkeep has been in time.
--
-- many rows: month (date, its first day), events
SELECT month_of_id(e.session_id) AS month, count(*) AS events
FROM (
    SELECT g.session_id FROM watch_segment_default AS g
    UNION ALL
    SELECT k.session_id FROM seek_event_default AS k
) AS e
GROUP BY month_of_id(e.session_id)
ORDER BY month
