-- Where in the log the events of an id came to lie, by the receipts since a moment.
SELECT coalesce(said.event ->> 'topic', %(topic)s), (said.event ->> 'partition')::integer, (said.event ->> 'offset')::bigint
FROM receipt CROSS JOIN LATERAL jsonb_array_elements(events) AS said (event)
WHERE at >= %(since)s AND events @> jsonb_build_array(jsonb_build_object('event_id', %(event_id)s::text))
    AND said.event ->> 'event_id' = %(event_id)s AND said.event ->> 'offset' IS NOT NULL
ORDER BY at
LIMIT 100
