-- How much of each part of a lesson its learners watched, watched again and skipped, from what stands on their
-- sessions: no raw row is read.
--
-- A learner is who watched any of it, in whichever session, assigned or not. Watched again is what a session noted of
-- itself, and what two sessions cover; skipped is what skips went over and no session covers.
--
-- The lesson is cut into parts of whole milliseconds, the last may be shorter; while its duration is not known it ends
-- where somebody got to. What a stretch began before a part goes on through it, what begins in it goes on to its end,
-- and what ends in it takes the rest back: each edge is looked at once, however many parts a stretch reaches over.
-- Edges behind the lesson's end count for none. All of them together come to how much was covered; added to it is what
-- those are spared who lack nothing but the last second, see missing.
--
-- :lesson_id  text
-- :buckets    int  at most so many parts
-- one row or none: lesson_id, duration_ms, learners, completed, average_coverage_ratio, bucket_ms, buckets (jsonb),
--   their members named as in models.Bucket
WITH learner AS MATERIALIZED (
    SELECT
        s.user_id,
        range_agg(s.coverage) AS coverage,
        range_agg(s.rewatched) + coalesce(range_agg(s.coverage * s.coverage_before), '{}') AS rewatched,
        range_agg(s.jumped_over) - range_agg(s.coverage) AS skipped
    FROM (
        SELECT
            w.user_id,
            w.coverage,
            w.rewatched,
            w.jumped_over,
            range_agg(w.coverage) OVER (
                PARTITION BY w.user_id ORDER BY w.session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS coverage_before
        FROM watch_session AS w
        WHERE w.lesson_id = :lesson_id
    ) AS s
    GROUP BY s.user_id
    HAVING range_agg(s.coverage)
        && int4range(0, (SELECT l.duration_ms FROM lesson AS l WHERE l.lesson_id = :lesson_id))
),

timeline AS MATERIALIZED (
    SELECT
        l.lesson_id,
        l.duration_ms,
        seen.learners,
        seen.completed,
        seen.spared_ms,
        seen.end_ms,
        (seen.end_ms + :buckets::int - 1) / :buckets::int AS bucket_ms
    FROM lesson AS l
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS learners,
            count(*) FILTER (WHERE learner.user_id IN (
                SELECT a.user_id FROM lesson_attempt AS a WHERE a.lesson_id = :lesson_id AND a.status = 'completed'
            )) AS completed,
            sum((
                SELECT sum(upper(gap) - lower(gap))
                FROM unnest(int4multirange(int4range(0, l.duration_ms)) - learner.coverage) AS gap
            )) FILTER (
                WHERE missing(learner.coverage, l.duration_ms) = '{}'
                    AND NOT learner.coverage @> int4range(0, l.duration_ms)
            ) AS spared_ms,
            CASE WHEN count(*) > 0 THEN coalesce(l.duration_ms, max(upper(learner.coverage))) END AS end_ms
        FROM learner
    ) AS seen
    WHERE l.lesson_id = :lesson_id
),

stretch AS NOT MATERIALIZED (
    SELECT 'watched' AS kind, unnest(learner.coverage) AS part FROM learner
    UNION ALL
    SELECT 'rewatched' AS kind, unnest(learner.rewatched) AS part FROM learner
    UNION ALL
    SELECT 'skipped' AS kind, unnest(learner.skipped) AS part FROM learner
),

edge AS (
    SELECT
        stretch.kind,
        lower(stretch.part) / timeline.bucket_ms AS place,
        count(*) AS number,
        sum(lower(stretch.part)) AS sum_ms
    FROM stretch
    INNER JOIN timeline ON lower(stretch.part) < timeline.end_ms
    GROUP BY stretch.kind, lower(stretch.part) / timeline.bucket_ms
    UNION ALL
    SELECT
        stretch.kind,
        upper(stretch.part) / timeline.bucket_ms AS place,
        -count(*) AS number,
        -sum(upper(stretch.part)) AS sum_ms
    FROM stretch
    INNER JOIN timeline ON upper(stretch.part) < timeline.end_ms
    GROUP BY stretch.kind, upper(stretch.part) / timeline.bucket_ms
),

bucket AS (
    SELECT
        cut.start_ms,
        cut.end_ms,
        kind.kind,
        coalesce(sum(edges.number) OVER earlier, 0)
        + coalesce(edges.number * cut.end_ms - edges.sum_ms, 0) / (cut.end_ms - cut.start_ms) AS mean
    FROM timeline
    CROSS JOIN LATERAL (
        SELECT
            n.place,
            n.place * timeline.bucket_ms AS start_ms,
            least((n.place + 1) * timeline.bucket_ms, timeline.end_ms) AS end_ms
        FROM generate_series(0, (timeline.end_ms - 1) / timeline.bucket_ms) AS n (place)
    ) AS cut
    CROSS JOIN (VALUES ('watched'), ('rewatched'), ('skipped')) AS kind (kind)
    LEFT JOIN (
        SELECT edge.kind, edge.place, sum(edge.number) AS number, sum(edge.sum_ms) AS sum_ms
        FROM edge
        GROUP BY edge.kind, edge.place
    ) AS edges ON kind.kind = edges.kind AND cut.place = edges.place
    WINDOW earlier AS (
        PARTITION BY kind.kind ORDER BY cut.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)

SELECT
    timeline.lesson_id,
    timeline.duration_ms,
    timeline.learners,
    timeline.completed,
    trunc((
        SELECT sum(edge.number) * timeline.end_ms - sum(edge.sum_ms) + coalesce(timeline.spared_ms, 0)
        FROM edge
        WHERE edge.kind = 'watched'
    ) / (timeline.learners * timeline.duration_ms), 6)::float8 AS average_coverage_ratio,
    timeline.bucket_ms,
    coalesce(listed.buckets, '[]') AS buckets
FROM timeline
CROSS JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_object('start_ms', b.start_ms, 'end_ms', b.end_ms) || b.means ORDER BY b.start_ms
    ) AS buckets
    FROM (
        SELECT bucket.start_ms, bucket.end_ms, jsonb_object_agg(bucket.kind, round(bucket.mean, 3)) AS means
        FROM bucket
        GROUP BY bucket.start_ms, bucket.end_ms
    ) AS b
) AS listed
