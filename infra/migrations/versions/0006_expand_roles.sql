-- A role for each function, with the rights that its statements need and no others; Terraform gives it to the user
-- whom the function logs in as. What the rights come to is told in docs/privileges.md.

-- Roles belong to all databases of a server: another one's migration may have made them, or make them now.
DO $$
DECLARE
    function text;
BEGIN
    FOREACH function IN ARRAY ARRAY[
        'archive_segments',
        'assign_lesson',
        'close_session',
        'complete_attempt',
        'find_evidence',
        'find_lesson',
        'find_progress',
        'list_unassigned_history',
        'maintain_partitions',
        'record_bulk_progress',
        'record_progress',
        'set_lesson',
        'start_session',
        'summarize_engagement',
        'summarize_skips',
        'sweep_stale_sessions',
        'touch_session',
        'unassign_lesson'
    ] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I', 'watchledger_' || function);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- Only a table's owner may make and drop its partitions: these do it with their owner's rights, for who may call them.
-- The names in them mean what they mean to the owner, whatever the caller has in its search_path.
ALTER FUNCTION ensure_month(date) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION drop_month(date, timestamptz) SECURITY DEFINER SET search_path = public, pg_temp;
REVOKE EXECUTE ON FUNCTION ensure_month(date), drop_month(date, timestamptz) FROM public;

-- Restoring a month is the owner's business.
REVOKE EXECUTE ON FUNCTION stage_month(date), attach_month(date) FROM public;

GRANT EXECUTE ON FUNCTION drop_month(date,timestamp with time zone) TO watchledger_archive_segments;
GRANT EXECUTE ON FUNCTION ensure_month(date) TO watchledger_archive_segments;
GRANT
    SELECT (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    )
ON seek_event TO watchledger_archive_segments;
GRANT SELECT (session_id) ON seek_event_default TO watchledger_archive_segments;
GRANT
    SELECT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at)
ON watch_segment TO watchledger_archive_segments;
GRANT SELECT (session_id) ON watch_segment_default TO watchledger_archive_segments;
GRANT
    SELECT (session_id, user_id, status, archived_at, coverage, effective_ms, segment_count, seek_count, skip_count),
    UPDATE (archived_at)
ON watch_session TO watchledger_archive_segments;
GRANT
    INSERT (lesson_id),
    SELECT (lesson_id, duration_ms, credit_window_days, max_credit_ratio)
ON lesson TO watchledger_assign_lesson;
GRANT
    INSERT (attempt_id, user_id, lesson_id, attempt_no, is_assigned, assigned_at, made_for_credit, credit_limit_ms),
    SELECT (attempt_id, user_id, lesson_id, attempt_no, status, is_assigned, assigned_at, credit_limit_ms),
    UPDATE (is_assigned, assigned_at, credit_limit_ms, coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_assign_lesson;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, coverage, effective_ms,
        exceeds_wall_clock_ms, last_position_ms, last_position_at, credited_attempt_id
    ),
    UPDATE (credited_attempt_id)
ON watch_session TO watchledger_assign_lesson;
GRANT SELECT (lesson_id, duration_ms, seek_policy, skip_threshold_ms) ON lesson TO watchledger_close_session;
GRANT
    SELECT (
        attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms, coverage, effective_ms,
        last_position_ms, last_position_at
    ),
    UPDATE (coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_close_session;
GRANT
    INSERT (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    ),
    SELECT (session_id, client_event_id, user_id, from_ms, to_ms, is_skip, occurred_at)
ON seek_event TO watchledger_close_session;
GRANT
    INSERT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at),
    SELECT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at)
ON watch_segment TO watchledger_close_session;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, last_heartbeat_at, closed_at,
        archived_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count, skip_count,
        last_position_ms, last_position_at, credited_attempt_id, rewatched, jumped_over
    ),
    UPDATE (
        status, last_heartbeat_at, closed_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count,
        skip_count, last_position_ms, last_position_at, rewatched, jumped_over
    )
ON watch_session TO watchledger_close_session;
GRANT SELECT (lesson_id, duration_ms, completion_threshold, integrity_policy) ON lesson TO watchledger_complete_attempt;
GRANT
    SELECT (attempt_id, user_id, lesson_id, status, is_assigned, credit_limit_ms, completed_at),
    UPDATE (status, completed_at)
ON lesson_attempt TO watchledger_complete_attempt;
GRANT
    SELECT (
        session_id, user_id, attempt_id, is_assigned, status, coverage, effective_ms, exceeds_wall_clock_ms,
        last_position_ms, last_position_at, credited_attempt_id
    )
ON watch_session TO watchledger_complete_attempt;
GRANT
    SELECT (
        lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days,
        max_credit_ratio, integrity_policy
    )
ON lesson TO watchledger_find_evidence;
GRANT
    SELECT (attempt_id, user_id, lesson_id, attempt_no, status, is_assigned, credit_limit_ms, started_at, completed_at)
ON lesson_attempt TO watchledger_find_evidence;
GRANT
    SELECT (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    )
ON seek_event TO watchledger_find_evidence;
GRANT SELECT (session_id, user_id, start_ms, end_ms) ON watch_segment TO watchledger_find_evidence;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, last_heartbeat_at, closed_at,
        archived_at, coverage, effective_ms, exceeds_wall_clock_ms, seek_count, skip_count, last_position_ms,
        last_position_at, credited_attempt_id, client_info, rewatched, jumped_over
    )
ON watch_session TO watchledger_find_evidence;
GRANT
    SELECT (
        lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days,
        max_credit_ratio, integrity_policy
    )
ON lesson TO watchledger_find_lesson;
GRANT SELECT (lesson_id, duration_ms, completion_threshold, integrity_policy) ON lesson TO watchledger_find_progress;
GRANT
    SELECT (attempt_id, user_id, lesson_id, attempt_no, status, is_assigned, credit_limit_ms, started_at, completed_at)
ON lesson_attempt TO watchledger_find_progress;
GRANT
    SELECT (
        session_id, user_id, attempt_id, is_assigned, status, started_at, last_heartbeat_at, closed_at, coverage,
        effective_ms, exceeds_wall_clock_ms, skip_count, last_position_ms, last_position_at, credited_attempt_id
    )
ON watch_session TO watchledger_find_progress;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_list_unassigned_history;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, closed_at, coverage, effective_ms,
        credited_attempt_id
    )
ON watch_session TO watchledger_list_unassigned_history;
GRANT EXECUTE ON FUNCTION ensure_month(date) TO watchledger_maintain_partitions;
GRANT SELECT (session_id) ON seek_event_default TO watchledger_maintain_partitions;
GRANT SELECT (session_id) ON watch_segment_default TO watchledger_maintain_partitions;
GRANT SELECT (lesson_id, duration_ms, seek_policy, skip_threshold_ms) ON lesson TO watchledger_record_bulk_progress;
GRANT
    SELECT (
        attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms, coverage, effective_ms,
        last_position_ms, last_position_at
    ),
    UPDATE (coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_record_bulk_progress;
GRANT
    INSERT (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    ),
    SELECT (session_id, client_event_id, user_id, from_ms, to_ms, is_skip, occurred_at)
ON seek_event TO watchledger_record_bulk_progress;
GRANT
    INSERT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at),
    SELECT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at)
ON watch_segment TO watchledger_record_bulk_progress;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, last_heartbeat_at, closed_at,
        archived_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count, skip_count,
        last_position_ms, last_position_at, credited_attempt_id, rewatched, jumped_over
    ),
    UPDATE (
        status, last_heartbeat_at, closed_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count,
        skip_count, last_position_ms, last_position_at, rewatched, jumped_over
    )
ON watch_session TO watchledger_record_bulk_progress;
GRANT SELECT (lesson_id, duration_ms, seek_policy, skip_threshold_ms) ON lesson TO watchledger_record_progress;
GRANT
    SELECT (
        attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms, coverage, effective_ms,
        last_position_ms, last_position_at
    ),
    UPDATE (coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_record_progress;
GRANT
    INSERT (
        session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at,
        recorded_at
    ),
    SELECT (session_id, client_event_id, user_id, from_ms, to_ms, is_skip, occurred_at)
ON seek_event TO watchledger_record_progress;
GRANT
    INSERT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at),
    SELECT (session_id, client_event_id, user_id, start_ms, end_ms, effective_ms, speed, occurred_at, recorded_at)
ON watch_segment TO watchledger_record_progress;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, last_heartbeat_at, closed_at,
        archived_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count, skip_count,
        last_position_ms, last_position_at, credited_attempt_id, rewatched, jumped_over
    ),
    UPDATE (
        status, last_heartbeat_at, closed_at, coverage, effective_ms, exceeds_wall_clock_ms, segment_count, seek_count,
        skip_count, last_position_ms, last_position_at, rewatched, jumped_over
    )
ON watch_session TO watchledger_record_progress;
GRANT
    INSERT (
        lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days,
        max_credit_ratio, integrity_policy
    ),
    SELECT (
        lesson_id, duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days,
        max_credit_ratio, integrity_policy
    ),
    UPDATE (
        duration_ms, seek_policy, skip_threshold_ms, completion_threshold, credit_window_days, max_credit_ratio,
        integrity_policy, updated_at
    )
ON lesson TO watchledger_set_lesson;
GRANT
    INSERT (lesson_id),
    SELECT (lesson_id, duration_ms, seek_policy, credit_window_days, max_credit_ratio)
ON lesson TO watchledger_start_session;
GRANT
    INSERT (attempt_id, user_id, lesson_id, attempt_no, is_assigned, assigned_at, made_for_credit, credit_limit_ms),
    SELECT (attempt_id, user_id, lesson_id, attempt_no, status, is_assigned, assigned_at, credit_limit_ms),
    UPDATE (is_assigned, assigned_at, credit_limit_ms, coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_start_session;
GRANT
    INSERT (session_id, user_id, attempt_id, lesson_id, is_assigned, idempotency_key, client_info, client_started_at),
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, started_at, coverage, effective_ms,
        exceeds_wall_clock_ms, last_position_ms, last_position_at, credited_attempt_id, idempotency_key
    ),
    UPDATE (credited_attempt_id)
ON watch_session TO watchledger_start_session;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_summarize_engagement;
GRANT SELECT (user_id, lesson_id, status) ON lesson_attempt TO watchledger_summarize_engagement;
GRANT
    SELECT (session_id, user_id, lesson_id, coverage, rewatched, jumped_over)
ON watch_session TO watchledger_summarize_engagement;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_summarize_skips;
GRANT SELECT (attempt_id, user_id, is_assigned, credit_limit_ms) ON lesson_attempt TO watchledger_summarize_skips;
GRANT
    SELECT (session_id, client_event_id, user_id, from_ms, to_ms, skipped_ms, is_skip, allowed, reason, occurred_at)
ON seek_event TO watchledger_summarize_skips;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, archived_at, coverage, effective_ms,
        exceeds_wall_clock_ms, seek_count, skip_count, last_position_ms, last_position_at, credited_attempt_id
    )
ON watch_session TO watchledger_summarize_skips;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_sweep_stale_sessions;
GRANT
    SELECT (attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms, coverage, effective_ms),
    UPDATE (coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_sweep_stale_sessions;
GRANT SELECT (session_id, user_id, from_ms, to_ms, is_skip) ON seek_event TO watchledger_sweep_stale_sessions;
GRANT SELECT (session_id, user_id, start_ms, end_ms) ON watch_segment TO watchledger_sweep_stale_sessions;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, last_heartbeat_at, archived_at, coverage,
        effective_ms, exceeds_wall_clock_ms, last_position_ms, last_position_at, credited_attempt_id, rewatched,
        jumped_over
    ),
    UPDATE (status, closed_at, rewatched, jumped_over)
ON watch_session TO watchledger_sweep_stale_sessions;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_touch_session;
GRANT
    SELECT (attempt_id, user_id, lesson_id, attempt_no, is_assigned, credit_limit_ms, coverage, effective_ms),
    UPDATE (coverage, effective_ms, last_position_ms, last_position_at)
ON lesson_attempt TO watchledger_touch_session;
GRANT SELECT (session_id, user_id, from_ms, to_ms, is_skip) ON seek_event TO watchledger_touch_session;
GRANT SELECT (session_id, user_id, start_ms, end_ms) ON watch_segment TO watchledger_touch_session;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, last_heartbeat_at, archived_at, coverage,
        effective_ms, exceeds_wall_clock_ms, last_position_ms, last_position_at, credited_attempt_id, rewatched,
        jumped_over
    ),
    UPDATE (status, last_heartbeat_at, closed_at, rewatched, jumped_over)
ON watch_session TO watchledger_touch_session;
GRANT SELECT (lesson_id, duration_ms) ON lesson TO watchledger_unassign_lesson;
GRANT
    DELETE,
    SELECT (attempt_id, user_id, lesson_id, attempt_no, status, is_assigned, made_for_credit, credit_limit_ms),
    UPDATE (
        is_assigned, assigned_at, made_for_credit, credit_limit_ms, coverage, effective_ms, last_position_ms,
        last_position_at
    )
ON lesson_attempt TO watchledger_unassign_lesson;
GRANT
    SELECT (
        session_id, user_id, attempt_id, lesson_id, is_assigned, status, coverage, effective_ms, exceeds_wall_clock_ms,
        last_position_ms, last_position_at, credited_attempt_id
    ),
    UPDATE (is_assigned, credited_attempt_id)
ON watch_session TO watchledger_unassign_lesson;
