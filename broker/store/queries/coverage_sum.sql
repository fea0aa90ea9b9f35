-- What a whole round has counted.
WITH counted AS (
    SELECT authority, system, kle_area,
        sum(entries) AS entries, sum(incomplete) AS incomplete, max(last_received_at) AS last_received_at,
        sum(retention_overdue) AS retention_overdue, sum(announced_retired) AS announced_retired
    FROM coverage_part
    GROUP BY authority, system, kle_area
), gone AS (
    DELETE FROM coverage_entry e WHERE NOT EXISTS (
        SELECT FROM counted c WHERE c.authority = e.authority AND c.system = e.system AND c.kle_area = e.kle_area)
)
INSERT INTO coverage_entry AS e (
    authority, system, kle_area, entries, incomplete, last_received_at, retention_overdue, announced_retired
)
SELECT authority, system, kle_area, entries, incomplete, last_received_at, retention_overdue, announced_retired
FROM counted
ON CONFLICT (authority, system, kle_area) DO UPDATE SET
    entries = excluded.entries, incomplete = excluded.incomplete, last_received_at = excluded.last_received_at,
    retention_overdue = excluded.retention_overdue, announced_retired = excluded.announced_retired
WHERE (e.entries, e.incomplete, e.last_received_at, e.retention_overdue, e.announced_retired) IS DISTINCT FROM (
    excluded.entries, excluded.incomplete, excluded.last_received_at, excluded.retention_overdue, excluded.announced_retired
)
