-- Count the open rejections anew.
WITH counted AS (
    SELECT authority, system, coalesce((
            SELECT area FROM unnest(%(areas)s::text[], %(prefixes)s::text[]) AS known (area, prefix)
            WHERE kle ^@ prefix), %(other)s) AS kle_area,
        count(*) AS open
    FROM rejection WHERE state = 'open' GROUP BY 1, 2, 3
), gone AS (
    DELETE FROM coverage_rejection r WHERE NOT EXISTS (
        SELECT FROM counted c WHERE c.authority = r.authority AND c.system = r.system AND c.kle_area = r.kle_area)
)
INSERT INTO coverage_rejection AS r SELECT authority, system, kle_area, open FROM counted
ON CONFLICT (authority, system, kle_area) DO UPDATE SET open = excluded.open WHERE r.open <> excluded.open
