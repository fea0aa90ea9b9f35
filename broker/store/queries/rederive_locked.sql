-- Lock these entries in key order; what was written since they were read comes as the next entries do, the rest without
-- a document.
SELECT e.authority, e.system, e.case_id::text, e.xmin::text, CASE WHEN e.xmin::text <> k.version THEN e.document END,
       e.newest, e.shape & ~512, e.complete, e.kle, e.sensitivity, e.primary_party, e.parties, e.principals, e.user_key,
       e.created_at, e.received_at
FROM entry e
JOIN unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[], %(versions)s::text[])
    AS k (authority, system, case_id, version)
    ON e.authority = k.authority AND e.system = k.system AND e.case_id = k.case_id
ORDER BY e.authority, e.system, e.case_id
FOR UPDATE OF e
