-- Drop a month's partitions, if all of its sessions were sealed at this moment.
--
-- :month      date  its first day
-- :sealed_at  timestamptz
-- one row: outcome (dropped, gone, changed, busy)
SELECT drop_month(:month::date, :sealed_at) AS outcome
