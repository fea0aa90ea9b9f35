-- Every entry of an authority in which a person, by any of their numbers, has any part, complete or not.
SELECT authority, system, case_id::text, coalesce(created_at, 0) AS created_at, newest, received_at, indexed_at, document
FROM entry
WHERE authority = %(authority)s AND (primary_party = ANY(%(persons)s::text[]) OR parties && %(parties)s::text[])
ORDER BY system, case_id
