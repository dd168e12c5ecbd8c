-- Make sure that a month's partitions exist; rows that lie in the default ones for want of them move there.
--
-- :month  date  its first day
-- one row: outcome (there, made, busy), rows_moved
SELECT e.outcome, e.rows_moved FROM ensure_month(:month::date) AS e
