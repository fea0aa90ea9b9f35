-- What of one part is past KLE's deletion rule; of all that is not named, nothing.
UPDATE coverage_part p SET retention_overdue = counted.overdue
FROM (
    SELECT q.authority, q.system, q.kle_area, coalesce(c.overdue, 0) AS overdue
    FROM coverage_part q
    LEFT JOIN unnest(%(overdue_authorities)s::text[], %(overdue_systems)s::text[], %(overdue_areas)s::text[],
                     %(overdue)s::bigint[]) AS c (authority, system, kle_area, overdue)
        USING (authority, system, kle_area)
    WHERE q.part = %(part)s
) counted
WHERE p.part = %(part)s AND p.authority = counted.authority AND p.system = counted.system
    AND p.kle_area = counted.kle_area AND p.retention_overdue <> counted.overdue
