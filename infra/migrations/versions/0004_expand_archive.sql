-- What becomes of a month that was archived, and how it comes back. Only archived_at, not these, says where its rows
-- are: a month is dropped while its sessions bear the moment of an archive that was read back.

-- Drop a month's partitions. `dropped`; `gone`: there were none; `changed`: not all of its sessions were archived at
-- this moment; `busy`: somebody used the tables for so long that the others would have had to wait.
--
-- The month's own tables are locked first, where nobody else waits, and their parents last and for a moment.
CREATE FUNCTION drop_month(month date, sealed_at timestamptz) RETURNS text
    LANGUAGE plpgsql SET lock_timeout = '500ms'
AS $$
DECLARE
    end_day date := month + interval '1 month';
    parents text[];
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    parents := ARRAY(
        SELECT p FROM unnest(ARRAY['watch_segment', 'seek_event']) AS p
        WHERE EXISTS (  -- to_regclass may remember what was there before we waited for the lock
            SELECT FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = p::regclass AND c.relname = p || to_char(month, '_YYYYMM')
        )
    );
    IF parents = '{}' THEN
        RETURN 'gone';
    END IF;
    IF EXISTS (
        SELECT FROM watch_session AS s
        WHERE s.session_id >= month_starts_at_id(month) AND s.session_id < month_starts_at_id(end_day)
            AND s.archived_at IS DISTINCT FROM sealed_at
    ) THEN
        RETURN 'changed';
    END IF;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || to_char(month, '_YYYYMM'));
    END LOOP;
    FOREACH parent IN ARRAY parents LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, parent || to_char(month, '_YYYYMM'));
        EXECUTE format('DROP TABLE %I', parent || to_char(month, '_YYYYMM'));
    END LOOP;
    RETURN 'dropped';
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
END
$$;

-- Make the tables that a month's rows are restored into: restored_watch_segment and restored_seek_event.
CREATE FUNCTION stage_month(month date) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL, CONSTRAINT %I CHECK (session_id >= %L AND session_id < %L))',
            'restored_' || parent, parent, 'lies_in_its_month',
            month_starts_at_id(month), month_starts_at_id((month + interval '1 month')::date)
        );
    END LOOP;
END
$$;

-- Make these the month's partitions. That their rows lie in the month is known, so nobody waits for a scan.
CREATE FUNCTION attach_month(month date) RETURNS void
    LANGUAGE plpgsql SET lock_timeout = '5s'
AS $$
DECLARE
    parent text;
    of_month text;
    index_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('watchledger.months', 0));
    FOREACH parent IN ARRAY ARRAY['watch_segment', 'seek_event'] LOOP
        of_month := parent || to_char(month, '_YYYYMM');
        EXECUTE format('ALTER TABLE %I RENAME TO %I', 'restored_' || parent, of_month);
        FOR index_name IN
            SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
            WHERE i.indrelid = of_month::regclass
        LOOP
            EXECUTE format(
                'ALTER INDEX %I RENAME TO %I', index_name, replace(index_name, 'restored_' || parent, of_month)
            );
        END LOOP;
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            parent, of_month, month_starts_at_id(month), month_starts_at_id((month + interval '1 month')::date)
        );
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', of_month, 'lies_in_its_month');
    END LOOP;
END
$$;
