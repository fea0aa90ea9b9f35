-- The authorities that hold anything of a citizen, a party or a user key, or one of these entries.
SELECT DISTINCT authority FROM entry_candidates(
    %(primary_parties)s::text[], %(other_parties)s::text[], %(user_key)s::text,
    %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])
