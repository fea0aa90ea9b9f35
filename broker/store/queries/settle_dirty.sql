-- What was published is no longer out of date, unless its mark was set again since: every setting makes a new row version.
-- A mark that somebody holds is being set again; it stays, and nobody waits.
WITH published AS (
    SELECT d.ctid
    FROM unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[], %(marks)s::text[])
        AS p (authority, system, case_id, mark)
    -- By the key, one at a time: however many are marked, only these are looked at.
    CROSS JOIN LATERAL (
        SELECT ctid FROM dirty
        WHERE shard = %(shard)s AND authority = p.authority AND system = p.system AND case_id = p.case_id
            AND xmin::text = p.mark
        FOR UPDATE SKIP LOCKED
    ) d
)
DELETE FROM dirty WHERE ctid = ANY (ARRAY(SELECT ctid FROM published))
