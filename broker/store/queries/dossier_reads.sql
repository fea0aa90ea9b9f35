-- Reads of a person's cases, by any of their numbers, that concern an authority, newest first.
SELECT id, at, reader, overview, purpose, decision, basis, reason, cases
FROM access_log
WHERE (subject = ANY(%(persons)s::bytea[]) OR shown && %(persons)s::bytea[]) AND %(authority)s = ANY(authorities)
ORDER BY at DESC, id DESC
LIMIT %(limit)s
