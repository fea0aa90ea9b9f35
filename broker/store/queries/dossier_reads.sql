-- Reads of a person's cases that concern an authority, newest first.
SELECT id, at, reader, overview, purpose, decision, basis, reason, cases
FROM access_log
WHERE (subject = %(person)s OR shown @> ARRAY[%(person)s::bytea]) AND %(authority)s = ANY(authorities)
ORDER BY at DESC, id DESC
LIMIT %(limit)s
