-- A viewer after the other, 25 of each client; what a player posts, made by the database.
\set post :post + 1
\set n :client_id * 25 + :post % 25
\set start :post / 25 * 8000 % 3580000
SELECT
    session_id,
    user_id,
    jsonb_build_object(
        'segments', (SELECT jsonb_agg(jsonb_build_object(
            'client_event_id', gen_random_uuid(), 'start_ms', :start + i * 3333, 'end_ms', :start + (i + 1) * 3333,
            'effective_ms', 2666, 'speed', 1.25)) FROM generate_series(0, 2) AS i),
        'seeks', jsonb_build_array(jsonb_build_object(
            'client_event_id', gen_random_uuid(), 'from_ms', :start + 9999, 'to_ms', :start + 7999))) AS events
FROM bench_viewer WHERE n = :n \gset
{record_progress};
