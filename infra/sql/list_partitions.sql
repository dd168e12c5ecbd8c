-- The partitions that raw rows lie in.
--
-- many rows: partition_oid, name
SELECT c.oid AS partition_oid, c.relname::text AS name
FROM pg_inherits AS i
INNER JOIN pg_class AS c ON i.inhrelid = c.oid
WHERE i.inhparent IN ('watch_segment'::regclass, 'seek_event'::regclass)
