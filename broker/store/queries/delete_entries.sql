-- Delete entries that nobody has written since, and whose tombstones have gone out: none of them is marked. With them go
-- the documents that no other case names.
WITH gone AS (
    DELETE FROM entry e
    USING unnest(%(systems)s::text[], %(case_ids)s::uuid[], %(revisions)s::bigint[]) AS k (system, case_id, revision)
    WHERE e.authority = %(authority)s AND e.system = k.system AND e.case_id = k.case_id AND e.revision = k.revision
        AND NOT EXISTS (
            SELECT FROM dirty d
            WHERE d.shard = (hashtext(k.case_id::text) & 3)
                AND d.authority = e.authority AND d.system = e.system AND d.case_id = e.case_id)
    RETURNING e.authority, e.system, e.case_id
), unlinked AS (
    DELETE FROM document_link l USING gone g
    WHERE l.authority = g.authority AND l.system = g.system AND l.case_id = g.case_id
    RETURNING l.authority, l.document_id, l.system, l.case_id
), orphaned AS (
    DELETE FROM document d
    WHERE (d.authority, d.document_id) IN (SELECT authority, document_id FROM unlinked)
        AND NOT EXISTS (
            SELECT FROM document_link l
            WHERE l.authority = d.authority AND l.document_id = d.document_id
                AND NOT EXISTS (
                    SELECT FROM unlinked u
                    WHERE u.authority = l.authority AND u.document_id = l.document_id
                        AND u.system = l.system AND u.case_id = l.case_id))
)
SELECT count(*) FROM gone
