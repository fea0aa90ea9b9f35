-- What was published is no longer out of date, unless its mark was set again since: every setting makes a new row version.
-- A mark that somebody holds is being set again; it stays, and nobody waits.
WITH published AS (
    SELECT d.ctid
    FROM dirty d
    JOIN unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[], %(marks)s::text[])
        AS p (authority, system, case_id, mark)
        ON d.authority = p.authority AND d.system = p.system AND d.case_id = p.case_id
    WHERE d.shard = %(shard)s AND d.xmin::text = p.mark
    FOR UPDATE OF d SKIP LOCKED
)
DELETE FROM dirty d USING published p WHERE d.ctid = p.ctid
