-- The receipt of an event that came to lie at a place, written about when Kafka took it.
SELECT received_at, at
FROM receipt CROSS JOIN LATERAL jsonb_array_elements(events) AS said (event)
WHERE at BETWEEN %(produced)s - interval '1 minute' AND %(produced)s + interval '10 minutes'
    AND events @> jsonb_build_array(jsonb_build_object('partition', %(partition)s::integer, 'offset', %(log_offset)s::bigint))
    AND coalesce(said.event ->> 'topic', %(cases)s) = %(topic)s
    AND said.event ->> 'partition' = %(partition)s::text AND said.event ->> 'offset' = %(log_offset)s::text
LIMIT 1
