-- Which of these keys stand in the index: not removed, and not replaced by another.
SELECT asked.authority, asked.system, asked.case_id::text
FROM unnest(%s::text[], %s::text[], %s::uuid[]) AS asked (authority, system, case_id)
-- By the key, one at a time.
CROSS JOIN LATERAL (
    SELECT FROM entry
    WHERE authority = asked.authority AND system = asked.system AND case_id = asked.case_id
        AND shape & 511 <> 0 AND shape & 8 = 0
    LIMIT 1
) AS stands
