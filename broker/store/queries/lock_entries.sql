-- The states of these cases, locked in key order.
SELECT k.ordinal, e.document
FROM entry e
JOIN unnest(%(ordinals)s::integer[], %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])
    AS k (ordinal, authority, system, case_id)
    ON e.authority = k.authority AND e.system = k.system AND e.case_id = k.case_id
ORDER BY e.authority, e.system, e.case_id
FOR UPDATE OF e
