-- The parties of some entries, as the index names them.
SELECT e.authority || '/' || e.system || '/' || e.case_id, party
FROM unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS asked(authority, system, case_id)
JOIN entry e USING (authority, system, case_id)
CROSS JOIN LATERAL (
    SELECT e.primary_party WHERE e.primary_party IS NOT NULL
    UNION ALL
    SELECT substr(other, strpos(other, '|') + 1) FROM unnest(e.parties) AS other
) AS of_entry(party)
