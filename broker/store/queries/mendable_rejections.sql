-- Open rejections of a scope whose bytes are kept and that a mapping may mend, in the order of their ids.
SELECT rejection_id::text, authority, system, event_id, topic, code, payload
FROM rejection
WHERE state = 'open' AND payload IS NOT NULL AND code = ANY(%(codes)s::text[])
  AND (%(authority)s::text IS NULL OR authority = %(authority)s)
  AND (%(system)s::text IS NULL OR system = %(system)s)
  AND rejection_id > %(after)s::uuid
ORDER BY rejection_id
LIMIT %(limit)s
