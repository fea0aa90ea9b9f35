-- Entries in one part of the table's pages that would be past KLE's deletion rule, had they been closed when they were
-- made; with the moment by which such a case must have been closed to be.
WITH due AS MATERIALIZED (
    SELECT number, floor(extract(epoch FROM clock_timestamp() - deletion::interval) * 1000000)::bigint AS closed_by
    FROM kle_deletion
    WHERE deletion IS NOT NULL
)
SELECT e.authority, e.system, e.kle, due.closed_by, e.document
FROM entry e JOIN due ON due.number = e.kle
WHERE e.ctid >= %(first)s::tid AND e.ctid < %(until)s::tid AND e.complete AND e.created_at <= due.closed_by
