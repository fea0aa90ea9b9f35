-- Up to `limit` marked entries of one shard: the purge lane first, then in key order from where the last claim ended.
-- One statement is one snapshot: `reference` is the revision of the reference data that go with these entries.
WITH purge AS (
    SELECT authority, system, case_id, xmin AS mark, since, asked_at FROM dirty
    WHERE shard = %(shard)s AND lane = 0
    LIMIT %(limit)s
), rest AS (
    SELECT authority, system, case_id, xmin AS mark, since, asked_at FROM dirty
    WHERE shard = %(shard)s AND lane <> 0
        AND (authority, system, case_id) > (%(authority)s, %(system)s, %(case_id)s::uuid)
    ORDER BY shard, authority, system, case_id
    LIMIT greatest(0, %(limit)s - (SELECT count(*) FROM purge))
), claimed AS (
    SELECT *, 0 AS lane FROM purge UNION ALL SELECT *, 1 AS lane FROM rest
)
SELECT (SELECT revision FROM reference_revision) AS reference,
    c.authority, c.system, c.case_id::text, c.mark::text, c.lane, c.since, c.asked_at, e.revision, e.document
FROM claimed c
-- By the key, one at a time: however many are marked, the whole index is never read for one claim.
LEFT JOIN LATERAL (
    SELECT revision, document FROM entry
    WHERE authority = c.authority AND system = c.system AND case_id = c.case_id
    LIMIT 1
) e ON true
ORDER BY c.lane, c.authority, c.system, c.case_id
