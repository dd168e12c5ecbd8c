-- Make the tables that a month's rows are restored into.
--
-- :month  date  its first day
-- one row: staged
SELECT stage_month(:month::date) IS NOT NULL AS staged
