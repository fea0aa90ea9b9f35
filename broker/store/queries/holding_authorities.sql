-- The authorities that hold anything of a citizen, a party or a user key.
SELECT authority FROM entry WHERE primary_party = ANY(%(primary_parties)s::text[])
UNION
SELECT authority FROM entry WHERE parties && %(other_parties)s::text[]
UNION
SELECT authority FROM entry WHERE user_key = %(user_key)s::text
