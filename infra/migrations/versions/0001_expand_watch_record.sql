-- The record: lessons, attempts, sessions, and the raw segments and seeks they are made of.
--
-- Places and lengths in a video are integer milliseconds, so that every sum is exact and no order matters.
-- user_id is in every key of a person's rows: one row cannot be reached through somebody else's id, and the
-- tables can be distributed by it.

CREATE TABLE lesson (
    lesson_id            text          PRIMARY KEY,
    duration_ms          int,
    seek_policy          text          NOT NULL DEFAULT 'flag',
    skip_threshold_ms    int           NOT NULL DEFAULT 5000,
    completion_threshold numeric(7, 6),
    credit_window_days   int           NOT NULL DEFAULT 365,
    max_credit_ratio     numeric(7, 6) NOT NULL DEFAULT 1,
    integrity_policy     text          NOT NULL DEFAULT 'flag',
    created_at           timestamptz   NOT NULL DEFAULT statement_timestamp(),
    updated_at           timestamptz   NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT lesson_id_has_1_to_128_characters CHECK (length(lesson_id) BETWEEN 1 AND 128),
    CONSTRAINT lesson_lasts_up_to_a_day CHECK (duration_ms BETWEEN 1 AND 86400000),
    CONSTRAINT seek_policy_is_free_flag_or_block CHECK (seek_policy IN ('free', 'flag', 'block')),
    CONSTRAINT skip_threshold_is_a_length CHECK (skip_threshold_ms BETWEEN 0 AND 86400000),
    CONSTRAINT completion_threshold_is_a_ratio CHECK (completion_threshold BETWEEN 0 AND 1),
    CONSTRAINT credit_window_is_up_to_ten_years CHECK (credit_window_days BETWEEN 0 AND 3660),
    CONSTRAINT max_credit_ratio_is_a_ratio CHECK (max_credit_ratio BETWEEN 0 AND 1),
    CONSTRAINT integrity_policy_is_flag_or_exclude CHECK (integrity_policy IN ('flag', 'exclude'))
);

-- One user's try at one lesson. Its totals are over the sessions that ended; the open ones are added when it is read.
CREATE TABLE lesson_attempt (
    attempt_id       uuid            NOT NULL,
    user_id          text            NOT NULL,
    lesson_id        text            NOT NULL REFERENCES lesson,
    attempt_no       int             NOT NULL,
    status           text            NOT NULL DEFAULT 'active',
    is_assigned      boolean         NOT NULL DEFAULT false,
    assigned_at      timestamptz,
    made_for_credit  boolean         NOT NULL DEFAULT false,
    credit_limit_ms  int,
    started_at       timestamptz     NOT NULL DEFAULT statement_timestamp(),
    completed_at     timestamptz,
    coverage         int4multirange  NOT NULL DEFAULT '{}',
    effective_ms     bigint          NOT NULL DEFAULT 0,
    last_position_ms int,
    last_position_at timestamptz,
    PRIMARY KEY (attempt_id, user_id),
    CONSTRAINT attempts_are_numbered_per_user_and_lesson UNIQUE (user_id, lesson_id, attempt_no),
    CONSTRAINT user_id_has_1_to_128_characters CHECK (length(user_id) BETWEEN 1 AND 128),
    CONSTRAINT attempts_are_numbered_from_one CHECK (attempt_no >= 1),
    CONSTRAINT attempt_is_active_or_completed CHECK (status IN ('active', 'completed')),
    CONSTRAINT a_completed_attempt_has_its_moment CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT a_position_has_its_moment CHECK ((last_position_ms IS NULL) = (last_position_at IS NULL)),
    CONSTRAINT an_assigned_attempt_has_its_moment CHECK (is_assigned = (assigned_at IS NOT NULL)),
    CONSTRAINT only_an_assigned_attempt_limits_credit CHECK (is_assigned OR credit_limit_ms IS NULL),
    CONSTRAINT credit_limit_is_a_length CHECK (credit_limit_ms >= 0)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX at_most_one_active_attempt ON lesson_attempt (user_id, lesson_id) WHERE status = 'active';

-- Plans are kept for all users, so they are made for those who watch a lot: fifty rows each, whatever the average is.
ALTER TABLE lesson_attempt ALTER user_id SET (n_distinct = -0.02);

-- One opening of the player. Its totals are its segments', at every instant.
CREATE TABLE watch_session (
    session_id            uuid            NOT NULL,
    user_id               text            NOT NULL,
    attempt_id            uuid            NOT NULL,
    lesson_id             text            NOT NULL,
    is_assigned           boolean         NOT NULL,
    status                text            NOT NULL DEFAULT 'open',
    started_at            timestamptz     NOT NULL DEFAULT statement_timestamp(),
    last_heartbeat_at     timestamptz     NOT NULL DEFAULT statement_timestamp(),
    closed_at             timestamptz,
    archived_at           timestamptz,
    coverage              int4multirange  NOT NULL DEFAULT '{}',
    effective_ms          bigint          NOT NULL DEFAULT 0,
    exceeds_wall_clock_ms bigint          NOT NULL DEFAULT 0,
    segment_count         int             NOT NULL DEFAULT 0,
    seek_count            int             NOT NULL DEFAULT 0,
    skip_count            int             NOT NULL DEFAULT 0,
    last_position_ms      int,
    last_position_at      timestamptz,
    credited_attempt_id   uuid,
    idempotency_key       text            NOT NULL,
    client_info           jsonb,
    client_started_at     timestamptz,
    PRIMARY KEY (session_id, user_id),
    FOREIGN KEY (attempt_id, user_id) REFERENCES lesson_attempt,
    FOREIGN KEY (credited_attempt_id, user_id) REFERENCES lesson_attempt,
    CONSTRAINT a_retried_start_is_one_session UNIQUE (user_id, idempotency_key),
    CONSTRAINT session_is_open_stale_or_closed CHECK (status IN ('open', 'stale', 'closed')),
    CONSTRAINT a_session_that_is_not_open_has_its_end CHECK ((status = 'open') = (closed_at IS NULL)),
    CONSTRAINT an_open_session_is_not_archived CHECK (archived_at IS NULL OR status <> 'open'),
    CONSTRAINT a_session_position_has_its_moment CHECK ((last_position_ms IS NULL) = (last_position_at IS NULL)),
    CONSTRAINT idempotency_key_has_1_to_255_characters CHECK (length(idempotency_key) BETWEEN 1 AND 255)
) WITH (fillfactor = 70);

-- No index has a column that progress or a heartbeat changes, so both stay HOT updates.
CREATE INDEX session_by_attempt ON watch_session (attempt_id);
CREATE INDEX session_by_credited_attempt ON watch_session (credited_attempt_id) WHERE credited_attempt_id IS NOT NULL;
CREATE INDEX session_by_user_and_lesson ON watch_session (user_id, lesson_id, started_at);
CREATE INDEX unassigned_session_by_user ON watch_session (user_id, session_id) WHERE NOT is_assigned;
CREATE INDEX open_session ON watch_session (session_id) WHERE status = 'open';
ALTER TABLE watch_session ALTER user_id SET (n_distinct = -0.02);

-- The raw record. A session's rows lie in the partition of the month in its id, see ensure_month.
CREATE TABLE watch_segment (
    session_id      uuid          NOT NULL,
    client_event_id uuid          NOT NULL,
    user_id         text          NOT NULL,
    start_ms        int           NOT NULL,
    end_ms          int           NOT NULL,
    effective_ms    int           NOT NULL,
    speed           numeric(6, 4) NOT NULL,
    occurred_at     timestamptz   NOT NULL,
    recorded_at     timestamptz   NOT NULL,
    PRIMARY KEY (session_id, client_event_id, user_id),
    CONSTRAINT segment_starts_in_the_video CHECK (start_ms >= 0),
    CONSTRAINT segment_ends_after_it_starts CHECK (end_ms > start_ms),
    CONSTRAINT segment_ends_within_a_day CHECK (end_ms <= 86400000),
    CONSTRAINT speed_is_one_that_browsers_play CHECK (speed BETWEEN 0.0625 AND 16),
    CONSTRAINT effective_time_is_length_over_speed
        CHECK (2 * abs(effective_ms * speed - (end_ms - start_ms)) <= speed)
) PARTITION BY RANGE (session_id);

CREATE TABLE seek_event (
    session_id      uuid         NOT NULL,
    client_event_id uuid         NOT NULL,
    user_id         text         NOT NULL,
    from_ms         int          NOT NULL,
    to_ms           int          NOT NULL,
    skipped_ms      int          NOT NULL,
    is_skip         boolean      NOT NULL,
    allowed         boolean      NOT NULL,
    reason          text,
    occurred_at     timestamptz  NOT NULL,
    recorded_at     timestamptz  NOT NULL,
    PRIMARY KEY (session_id, client_event_id, user_id),
    CONSTRAINT seek_starts_in_the_video CHECK (from_ms BETWEEN 0 AND 86400000),
    CONSTRAINT seek_ends_in_the_video CHECK (to_ms BETWEEN 0 AND 86400000),
    CONSTRAINT only_a_forward_seek_skips CHECK (skipped_ms BETWEEN 0 AND greatest(to_ms - from_ms, 0)),
    CONSTRAINT reason_has_1_to_200_characters CHECK (length(reason) BETWEEN 1 AND 200)
) PARTITION BY RANGE (session_id);

CREATE INDEX seek_by_session_and_skip ON seek_event (session_id, is_skip);

-- Where a session goes whose month has no partition of its own: nothing is ever refused for want of one.
CREATE TABLE watch_segment_default PARTITION OF watch_segment DEFAULT;
CREATE TABLE seek_event_default PARTITION OF seek_event DEFAULT;
