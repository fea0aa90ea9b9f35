-- Complete entries of a citizen, a party, a user key or of these numbers that every kind of grant covers, newest case first, after a position, so many.
WITH allowed AS MATERIALIZED (
    SELECT kind, authority, kle, prefixes, levels, system, since, citizens
    FROM jsonb_to_recordset(%(grants)s::jsonb) AS granted(
        kind text, authority text, kle text[], prefixes text[], levels smallint[],
        system text, since bigint, citizens text[])
)
SELECT e.authority, e.system, e.case_id::text, e.created_at, e.newest, e.received_at, e.indexed_at, e.document
FROM entry_candidates(
    %(primary_parties)s::text[], %(other_parties)s::text[], %(user_key)s::text,
    %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS candidate
JOIN entry e USING (authority, system, case_id)
WHERE e.complete
  AND e.kle IS NOT NULL
  AND (%(kle)s::text[] IS NULL OR e.kle ^@ ANY(%(kle)s::text[]))
  AND (%(after_created)s::bigint IS NULL
       OR e.created_at < %(after_created)s
       OR e.created_at = %(after_created)s
          AND (e.authority, e.system, e.case_id) > (%(after_authority)s, %(after_system)s, %(after_case)s::uuid))
  AND (%(principals)s::text[] IS NULL OR e.principals IS NULL OR e.principals && %(principals)s::text[])
  AND (
    -- A grant is taken as a whole; in it the longest prefix that covers the number gives the level.
    SELECT count(DISTINCT allowed.kind)
    FROM allowed
    WHERE allowed.authority = e.authority
      AND (allowed.system IS NULL OR allowed.system = e.system)
      AND (allowed.since IS NULL OR allowed.since <= e.created_at)
      AND (allowed.citizens IS NULL
           OR e.primary_party = ANY(allowed.citizens)
           -- A case with several primary parties has the others of them in the list.
           OR e.parties && ARRAY(SELECT 'PRIMARY|' || citizen FROM unnest(allowed.citizens) AS citizen))
      AND e.kle ^@ ANY(allowed.kle)
      AND e.sensitivity <= coalesce((
          SELECT level
          FROM unnest(allowed.prefixes, allowed.levels) AS ceiling(prefix, level)
          WHERE starts_with(e.kle, prefix)
          ORDER BY length(prefix) DESC
          LIMIT 1), 0)
  ) = %(kinds)s
ORDER BY e.created_at DESC, e.authority, e.system, e.case_id
LIMIT %(limit)s
