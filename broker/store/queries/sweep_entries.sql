-- So many entries of an authority (and system) after a place.
SELECT system, case_id::text, revision, document FROM entry
WHERE authority = %(authority)s AND (%(system)s::text IS NULL OR system = %(system)s)
    AND (authority, system, case_id) > (%(authority)s, %(after_system)s, %(after_case)s::uuid)
ORDER BY authority, system, case_id
LIMIT %(limit)s
