-- Which of the sent events were recorded before with another content; asked only when not all were new.
--
-- What the client left out (occurredAt) or the service judged (allowed, reason) is not compared.
--
-- :session_id  uuid
-- :user_id     text
-- :events      jsonb  as in record_progress
-- many rows, one for each event in conflict: client_event_id
SELECT sent.client_event_id
FROM jsonb_to_recordset(:events::jsonb -> 'segments') AS sent (
    client_event_id uuid, start_ms int, end_ms int, speed numeric, occurred_at timestamptz
)
INNER JOIN watch_segment AS stored ON sent.client_event_id = stored.client_event_id
WHERE stored.session_id = :session_id AND stored.user_id = :user_id
    AND (sent.start_ms, sent.end_ms, sent.speed, coalesce(sent.occurred_at, stored.occurred_at))
    IS DISTINCT FROM (stored.start_ms, stored.end_ms, stored.speed, stored.occurred_at)
UNION ALL
SELECT sent.client_event_id
FROM jsonb_to_recordset(:events::jsonb -> 'seeks') AS sent (
    client_event_id uuid, from_ms int, to_ms int, occurred_at timestamptz
)
INNER JOIN seek_event AS stored ON sent.client_event_id = stored.client_event_id
WHERE stored.session_id = :session_id AND stored.user_id = :user_id
    AND (sent.from_ms, sent.to_ms, coalesce(sent.occurred_at, stored.occurred_at))
    IS DISTINCT FROM (stored.from_ms, stored.to_ms, stored.occurred_at)
