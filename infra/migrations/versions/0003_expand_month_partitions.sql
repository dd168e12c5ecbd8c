-- Months of raw rows. Session ids are UUIDv7: the first 48 bits are the milliseconds since 1970, so a month of
-- sessions is a range of ids.

CREATE FUNCTION month_starts_at_id(month date) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rpad(lpad(to_hex(extract(epoch FROM month)::bigint * 1000), 12, '0'), 32, '0')::uuid;

-- Make sure that the partitions of a month exist; true if they had to be made.
CREATE FUNCTION ensure_month(month date) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    first_day date := date_trunc('month', month);
    suffix text := to_char(month, 'YYYYMM');
    parent text;
BEGIN
    IF to_regclass('watch_segment_' || suffix) IS NOT NULL AND to_regclass('seek_event_' || suffix) IS NOT NULL THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
            parent || '_' || suffix, parent,
            month_starts_at_id(first_day), month_starts_at_id((first_day + interval '1 month')::date)
        );
    END LOOP;
    RETURN true;
END
$$;

-- The month that runs and the three after it.
SELECT ensure_month((date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date)
FROM generate_series(0, 3) AS n;
