-- What was published is no longer out of date, unless its mark was set again since: every setting makes a new row version.
DELETE FROM dirty d
USING unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[], %(marks)s::text[])
    AS p (authority, system, case_id, mark)
WHERE d.shard = %(shard)s AND d.authority = p.authority AND d.system = p.system AND d.case_id = p.case_id
    AND d.xmin::text = p.mark
