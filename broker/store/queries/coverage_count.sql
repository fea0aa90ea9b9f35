-- Count the entries in one part of the table's pages anew.
WITH by_number AS MATERIALIZED (
    SELECT authority, system, kle,
        count(*) AS entries, count(*) FILTER (WHERE NOT complete) AS incomplete, max(received_at) AS last_received_at
    FROM entry
    WHERE ctid >= %(first)s::tid AND ctid < %(until)s::tid
    GROUP BY authority, system, kle
), counted AS (
    SELECT authority, system, coalesce((
            SELECT area FROM unnest(%(areas)s::text[], %(prefixes)s::text[]) AS known (area, prefix)
            WHERE kle ^@ prefix), %(other)s) AS kle_area,
        sum(entries) AS entries, sum(incomplete) AS incomplete, max(last_received_at) AS last_received_at,
        coalesce(sum(entries) FILTER (WHERE kle = ANY(%(announced)s::text[])), 0) AS announced_retired
    FROM by_number
    GROUP BY 1, 2, 3
), gone AS (
    DELETE FROM coverage_part p WHERE part = %(part)s AND NOT EXISTS (
        SELECT FROM counted c WHERE c.authority = p.authority AND c.system = p.system AND c.kle_area = p.kle_area)
)
INSERT INTO coverage_part AS p (part, authority, system, kle_area, entries, incomplete, last_received_at, announced_retired)
SELECT %(part)s, authority, system, kle_area, entries, incomplete, last_received_at, announced_retired FROM counted
ON CONFLICT (part, authority, system, kle_area) DO UPDATE SET
    entries = excluded.entries, incomplete = excluded.incomplete, last_received_at = excluded.last_received_at,
    announced_retired = excluded.announced_retired
WHERE (p.entries, p.incomplete, p.last_received_at, p.announced_retired)
    IS DISTINCT FROM (excluded.entries, excluded.incomplete, excluded.last_received_at, excluded.announced_retired)
