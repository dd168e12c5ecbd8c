-- Whoever restores a month, its tables belong to who owns the others: only their owner can drop them again.
ALTER FUNCTION stage_month(date) SECURITY DEFINER SET search_path = public, pg_temp;
