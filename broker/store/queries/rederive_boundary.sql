-- The key with so many before it in a scope.
SELECT authority, system, case_id::text FROM entry
WHERE (%(authority)s::text IS NULL OR authority = %(authority)s) AND (%(system)s::text IS NULL OR system = %(system)s)
ORDER BY authority, system, case_id
OFFSET %(before)s LIMIT 1
