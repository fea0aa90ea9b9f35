-- Lock these entries in key order.
SELECT FROM entry e
JOIN unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS k (authority, system, case_id)
    ON e.authority = k.authority AND e.system = k.system AND e.case_id = k.case_id
ORDER BY e.authority, e.system, e.case_id
FOR UPDATE OF e
