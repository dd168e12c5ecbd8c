-- Months of raw rows. Session ids are UUIDv7: the first 48 bits are the milliseconds since 1970, so a month of
-- sessions is a range of ids.

CREATE FUNCTION month_starts_at_id(month date) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rpad(lpad(to_hex(extract(epoch FROM month)::bigint * 1000), 12, '0'), 32, '0')::uuid;

-- The month that a session belongs to, in UTC.
CREATE FUNCTION month_of_id(session_id uuid) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_trunc('month', to_timestamp(
        ('x' || left(replace(session_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
    ) AT TIME ZONE 'UTC')::date;

-- Make sure that the partitions of a month exist. `there`: they did; `made`; `busy`: somebody used the tables for
-- so long that the others would have had to wait, so nothing was done.
--
-- A month that has not begun is attached beside the writers. One that has may have rows in the default partition:
-- writers wait at the door, before they choose a partition, while these move.
CREATE FUNCTION ensure_month(month date, OUT outcome text, OUT rows_moved bigint)
    LANGUAGE plpgsql SET lock_timeout = '500ms'
AS $$
DECLARE
    first_day date := date_trunc('month', month);
    first_id uuid := month_starts_at_id(first_day);
    end_id uuid := month_starts_at_id((first_day + interval '1 month')::date);
    parent text;
    of_month text;
    moved bigint;
BEGIN
    outcome := 'there';
    rows_moved := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        of_month := parent || to_char(first_day, '_YYYYMM');
        CONTINUE WHEN EXISTS (  -- to_regclass may remember what was there before we waited for the lock
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = parent::regclass AND c.relname = of_month
        );
        IF first_day <= (clock_timestamp() AT TIME ZONE 'UTC')::date + 1 THEN
            EXECUTE format('LOCK TABLE ONLY %I IN SHARE ROW EXCLUSIVE MODE', parent);
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', of_month, parent);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE session_id >= %L AND session_id < %L RETURNING *)'
            ' INSERT INTO %I SELECT * FROM moved',
            parent || '_default', first_id, end_id, of_month
        );
        GET DIAGNOSTICS moved = ROW_COUNT;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, of_month, first_id, end_id
        );
        outcome := 'made';
        rows_moved := rows_moved + moved;
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    outcome := 'busy';
    rows_moved := 0;
END
$$;

-- The month that runs and the three after it.
SELECT ensure_month((date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date)
FROM generate_series(0, 3) AS n;
