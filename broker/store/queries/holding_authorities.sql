-- The authorities that hold anything of a citizen, a party or a user key, or one of these entries.
SELECT authority FROM entry WHERE primary_party = ANY(%(primary_parties)s::text[])
UNION
SELECT authority FROM entry WHERE parties && %(other_parties)s::text[]
UNION
SELECT authority FROM entry WHERE user_key = %(user_key)s::text
UNION
SELECT authority
FROM entry
JOIN unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS asked (authority, system, case_id)
    USING (authority, system, case_id)
