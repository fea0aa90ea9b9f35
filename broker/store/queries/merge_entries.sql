-- Put the batch's cases in; returns the ordinals of those that need the whole merge under their row lock.
--
-- Replaced here are rows that one whole, newer registration covers; every conflicting row is locked either way.
-- shape: bits 0-8 the groups, 512 several registrations, 1024 items or a removal lie over the groups, 2048 hidden.
WITH merged AS (
    INSERT INTO entry AS e (
        authority, system, case_id, newest, shape, complete, kle, sensitivity, primary_party, parties, principals,
        user_key, created_at, received_at, document
    )
    SELECT authority, system, case_id, newest, shape, complete, kle, sensitivity, primary_party, parties, principals,
           user_key, created_at, received_at, document
    FROM incoming
    ORDER BY authority, system, case_id
    ON CONFLICT (authority, system, case_id) DO UPDATE SET
        revision = e.revision + 1,
        newest = excluded.newest,
        shape = excluded.shape,
        complete = excluded.complete,
        kle = excluded.kle,
        sensitivity = excluded.sensitivity,
        primary_party = excluded.primary_party,
        parties = excluded.parties,
        principals = excluded.principals,
        user_key = excluded.user_key,
        created_at = excluded.created_at,
        received_at = excluded.received_at,
        indexed_at = clock_timestamp(),
        document = excluded.document
    WHERE excluded.shape & 1536 = 0
        AND e.shape & 1024 = 0
        AND e.shape & 511 & ~excluded.shape = 0
        AND e.newest < excluded.newest
    RETURNING e.authority, e.system, e.case_id, e.revision,
        -- Fewer may see it now: the purge lane, before a full load's backlog.
        old.complete AND (
            NOT new.complete OR new.sensitivity > old.sensitivity OR new.kle IS DISTINCT FROM old.kle
            OR new.principals IS DISTINCT FROM old.principals OR new.primary_party IS DISTINCT FROM old.primary_party
            OR new.parties IS DISTINCT FROM old.parties OR (new.shape & ~old.shape) & 2048 <> 0
        ) AS narrowed
), marked AS (
    INSERT INTO dirty (authority, system, case_id, revision, lane)
    SELECT authority, system, case_id, revision, CASE WHEN narrowed THEN 0 ELSE 1 END FROM merged
    ON CONFLICT (shard, authority, system, case_id)
        DO UPDATE SET revision = excluded.revision, lane = least(dirty.lane, excluded.lane)
)
SELECT i.ordinal
FROM incoming i
-- Nearly always all of them are in, and no row need be looked for.
WHERE (SELECT count(*) FROM merged) < (SELECT count(*) FROM incoming)
  AND NOT EXISTS (
    SELECT FROM merged m WHERE m.case_id = i.case_id AND m.authority = i.authority AND m.system = i.system
)
