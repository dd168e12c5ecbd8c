-- What a coverage says, and what an attempt comes to. Union, intersection and difference are PostgreSQL's own
-- operators on int4multirange; these are the few rules on top of them, each in one place.
--
-- plpgsql where a query is needed inside: its plan is kept for the connection, an SQL function's is not before 18.
-- SQL where an expression will do: the planner puts it in place.

-- The part of a coverage that lies in the lesson; all of it while the duration is unknown.
CREATE FUNCTION clip(coverage int4multirange, duration_ms int) RETURNS int4multirange
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coverage * int4multirange(int4range(0, duration_ms));

CREATE FUNCTION length_ms(coverage int4multirange) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (SELECT coalesce(sum(upper(part) - lower(part)), 0) FROM unnest(coverage) AS part);
END
$$;

-- Verified progress: the end of the unbroken coverage that starts at 0, gaps of up to a second bridged.
-- Every part is drawn out by that second, and so is the empty start; what then hangs together with 0 is unbroken.
CREATE FUNCTION verified_ms(coverage int4multirange) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (
        SELECT upper(bridged) - 1000
        FROM unnest('{[0,1000)}'::int4multirange + coalesce(
            (SELECT range_agg(int4range(lower(part), upper(part) + 1000)) FROM unnest(coverage) AS part), '{}'
        )) AS bridged
        WHERE lower(bridged) = 0
    );
END
$$;

-- What is left to watch; null while the duration is unknown. Players report the end up to a second early,
-- so when only that last second is missing, nothing is.
CREATE FUNCTION missing(coverage int4multirange, duration_ms int) RETURNS int4multirange
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN duration_ms IS NULL THEN NULL
        WHEN coverage @> int4range(0, greatest(duration_ms - 1000, 1)) THEN '{}'::int4multirange
        ELSE int4multirange(int4range(0, duration_ms)) - coverage
    END;

-- How much of the lesson is covered, rounded down so that 1 means all of it; null while the duration is unknown.
CREATE FUNCTION coverage_ratio(coverage int4multirange, duration_ms int) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN missing(coverage, duration_ms) = '{}' THEN 1
        ELSE trunc(length_ms(clip(coverage, duration_ms))::numeric / duration_ms, 6)
    END;

-- A coverage as JSON: [[start_ms, end_ms], …]; null stays null.
CREATE FUNCTION parts(coverage int4multirange) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(lower(part), upper(part)) ORDER BY part), '[]')
        FROM unnest(coverage) AS part
    );
END
$$;

-- The first so many milliseconds of a coverage, in the video's order; all of it without a limit.
CREATE FUNCTION leading_ms(coverage int4multirange, limit_ms int) RETURNS int4multirange
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    IF limit_ms IS NULL OR length_ms(coverage) <= limit_ms THEN
        RETURN coverage;
    END IF;
    RETURN (
        SELECT coalesce(range_agg(int4range(lower(part), (least(upper(part), lower(part) + limit_ms - before))::int)), '{}')
        FROM (
            SELECT part, sum(upper(part) - lower(part)) OVER (ORDER BY part) - (upper(part) - lower(part)) AS before
            FROM unnest(coverage) AS part
        ) AS placed
        WHERE before < limit_ms
    );
END
$$;

-- An attempt's totals, recomputed from its sessions. In an assigned attempt count the assigned sessions and those
-- credited to it, the credited coverage up to the attempt's limit; in an unassigned one all of its own.
--
-- ended_only   leave out the sessions that are open: what the attempt's row holds
-- honest_only  leave out the sessions that claim more than the wall clock allows
--
-- One SELECT, STABLE, not STRICT: the planner puts it in place of the call.
CREATE FUNCTION attempt_total(of_attempt_id uuid, of_user_id text, ended_only boolean, honest_only boolean)
    RETURNS TABLE (
        coverage int4multirange,
        effective_ms bigint,
        last_position_ms int,
        last_position_at timestamptz,
        exceeds_wall_clock_ms bigint
    )
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        coalesce(range_agg(s.coverage) FILTER (WHERE NOT s.is_credited), '{}')
        + leading_ms(coalesce(range_agg(s.coverage) FILTER (WHERE s.is_credited), '{}'), min(a.credit_limit_ms)),
        coalesce(sum(s.effective_ms), 0)::bigint,
        (array_agg(s.last_position_ms ORDER BY s.last_position_at DESC NULLS LAST, s.session_id DESC))[1],
        max(s.last_position_at),
        coalesce(sum(s.exceeds_wall_clock_ms), 0)::bigint
    FROM lesson_attempt AS a
    CROSS JOIN LATERAL (
        SELECT
            own.session_id, own.status, own.coverage, own.effective_ms,
            own.last_position_ms, own.last_position_at, own.exceeds_wall_clock_ms,
            false AS is_credited
        FROM watch_session AS own
        WHERE own.attempt_id = a.attempt_id AND own.user_id = a.user_id
            AND (own.is_assigned OR NOT a.is_assigned)
        UNION ALL
        SELECT
            credited.session_id, credited.status, credited.coverage, credited.effective_ms,
            credited.last_position_ms, credited.last_position_at, credited.exceeds_wall_clock_ms,
            true AS is_credited
        FROM watch_session AS credited
        WHERE credited.credited_attempt_id = a.attempt_id AND credited.user_id = a.user_id
    ) AS s
    WHERE a.attempt_id = of_attempt_id AND a.user_id = of_user_id
        AND (s.status <> 'open' OR NOT ended_only)
        AND (s.exceeds_wall_clock_ms = 0 OR NOT honest_only);
END;
