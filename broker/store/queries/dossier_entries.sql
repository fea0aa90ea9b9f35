-- Every entry of an authority in which a party has any part, complete or not.
SELECT authority, system, case_id::text, coalesce(created_at, 0) AS created_at, newest, received_at, indexed_at, document
FROM entry
WHERE authority = %(authority)s AND (primary_party = %(party)s OR parties && %(parties)s::text[])
ORDER BY system, case_id
