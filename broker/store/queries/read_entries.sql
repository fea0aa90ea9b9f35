-- Some entries as they stand.
SELECT e.authority, e.system, e.case_id::text, e.created_at, e.newest, e.received_at, e.indexed_at, e.document
FROM unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS asked(authority, system, case_id)
-- By the key, one at a time.
CROSS JOIN LATERAL (
    SELECT * FROM entry
    WHERE authority = asked.authority AND system = asked.system AND case_id = asked.case_id
      -- What is incomplete is shown to nobody; when it was made may be among what is missing.
      AND complete AND kle IS NOT NULL
    LIMIT 1
) e
