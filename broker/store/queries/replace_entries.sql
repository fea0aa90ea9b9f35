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
    RETURNING e.authority, e.system, e.case_id, e.revision,
        -- Fewer may see it now: the purge lane, before a full load's backlog.
        old.complete AND (
            NOT new.complete OR new.sensitivity > old.sensitivity OR new.kle IS DISTINCT FROM old.kle
            OR new.principals IS DISTINCT FROM old.principals OR new.primary_party IS DISTINCT FROM old.primary_party
            OR new.parties IS DISTINCT FROM old.parties OR (new.shape & ~old.shape) & 2048 <> 0
        ) AS narrowed
)
INSERT INTO dirty (authority, system, case_id, revision, lane)
SELECT authority, system, case_id, revision, CASE WHEN narrowed THEN 0 ELSE 1 END FROM replaced
ON CONFLICT (shard, authority, system, case_id)
    DO UPDATE SET revision = excluded.revision, lane = least(dirty.lane, excluded.lane)
