-- What the newest comparison of each sender has found.
SELECT m.authority, m.system, extract(epoch FROM m.finished_at)::float8, m.digest_here, m.digest_there,
    coalesce(sum(r.missing), 0), coalesce(sum(r.superfluous), 0), coalesce(sum(r.older), 0),
    coalesce(sum(r.newer), 0)
FROM (
    SELECT DISTINCT ON (authority, system) *
    FROM manifest
    WHERE finished_at IS NOT NULL
    ORDER BY authority, system, finished_at DESC
) AS m
LEFT JOIN reconciliation AS r ON r.manifest = m.id
GROUP BY m.authority, m.system, m.finished_at, m.digest_here, m.digest_there
