-- The next ones that a filter means, in the order of their ids, with their events.
SELECT rejection_id::text, authority, system, event_id, code, pointer, topic, payload
FROM rejections_of(%(authorities)s, %(authority)s, %(system)s, %(code)s, %(pointer)s, %(state)s, %(since)s, %(until)s)
WHERE rejection_id > %(after)s::uuid
ORDER BY rejection_id
LIMIT %(limit)s
