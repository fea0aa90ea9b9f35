-- Write back the cases that were merged under their row locks, and mark them for publication.
WITH replaced AS (
    UPDATE entry e SET
        revision = e.revision + 1,
        newest = r.newest,
        shape = r.shape,
        complete = r.complete,
        kle = r.kle,
        sensitivity = r.sensitivity,
        primary_party = r.primary_party,
        parties = r.parties,
        principals = r.principals,
        user_key = r.user_key,
        created_at = r.created_at,
        received_at = r.received_at,
        indexed_at = clock_timestamp(),
        document = r.document
    FROM revised r
    WHERE e.authority = r.authority AND e.system = r.system AND e.case_id = r.case_id
    RETURNING e.authority, e.system, e.case_id, e.revision, e.complete
)
INSERT INTO dirty (authority, system, case_id, revision, lane)
SELECT authority, system, case_id, revision, CASE WHEN complete THEN 1 ELSE 0 END FROM replaced
ON CONFLICT (shard, authority, system, case_id)
    DO UPDATE SET revision = excluded.revision, lane = least(dirty.lane, excluded.lane)
