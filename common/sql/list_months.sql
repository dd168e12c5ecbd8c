-- The months that have partitions, the oldest first.
--
-- many rows: month (date, its first day), tables (2, if all is well)
SELECT
    to_date(right(c.relname, 6), 'YYYYMM') AS month,
    count(*) AS tables
FROM pg_inherits AS i
INNER JOIN pg_class AS c ON i.inhrelid = c.oid
WHERE i.inhparent IN ('watch_segment'::regclass, 'seek_event'::regclass) AND c.relname ~ '_[0-9]{6}$'
GROUP BY month
ORDER BY month
