-- Events of an authority that could not be used and are still kept, where one of some numbers stands in them in the clear.
SELECT rejection_id::text, system, event_id, code, pointer, at, encode(payload, 'escape') AS event
FROM rejection
WHERE authority = %(authority)s AND payload IS NOT NULL
    AND EXISTS (SELECT FROM unnest(%(numbers)s::bytea[]) AS one(number) WHERE position(one.number IN payload) > 0)
ORDER BY at
