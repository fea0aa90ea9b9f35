-- What changes of reference data of these authorities have still to reach.
SELECT kind, authority, system, done, at
FROM sweep
WHERE authority = ANY(%(authorities)s::text[])
ORDER BY id
LIMIT %(limit)s
