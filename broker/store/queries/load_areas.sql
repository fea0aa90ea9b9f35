-- Each KLE area of a sender's newest load, and whether a comparison since has found the index equal to the source.
WITH newest AS (
    SELECT id, finished_at
    FROM load_run
    WHERE authority = %(authority)s AND system = %(system)s
    ORDER BY started_at DESC
    LIMIT 1
), loaded AS (
    SELECT area.key AS kle_area, sum(area.value::bigint)::bigint AS sent
    FROM newest
    JOIN load_chunk ON load_chunk.load = newest.id
    CROSS JOIN LATERAL jsonb_each_text(load_chunk.areas) AS area
    GROUP BY area.key
)
SELECT loaded.kle_area, loaded.sent, since.at,
    coalesce(since.missing + since.superfluous + since.older = 0, false) AS complete
FROM loaded
CROSS JOIN newest
LEFT JOIN LATERAL (
    SELECT r.at, r.missing, r.superfluous, r.older
    FROM reconciliation AS r
    JOIN manifest ON manifest.id = r.manifest
    WHERE r.authority = %(authority)s AND r.system = %(system)s AND r.kle_area = loaded.kle_area
      AND manifest.begun_at >= newest.finished_at
    ORDER BY r.at DESC
    LIMIT 1
) AS since ON true
ORDER BY loaded.kle_area
