-- Make the tables that a month's rows were restored into its partitions.
--
-- :month  date  its first day
-- one row: attached
SELECT attach_month(:month::date) IS NOT NULL AS attached
