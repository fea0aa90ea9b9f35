-- Have so many entries after a place published anew, of an authority (and system, and under some KLE prefixes), in the
-- order in which everyone takes these rows; returns where that ends and how many were looked at.
--
-- A prefix as long as a number is one: of those there may be thousands, and they are looked up, not tried in turn.
WITH slice AS (
    SELECT authority, system, case_id, revision, kle FROM entry
    WHERE authority = %(authority)s AND (%(system)s::text IS NULL OR system = %(system)s)
        AND (authority, system, case_id) > (%(authority)s, %(after_system)s, %(after_case)s::uuid)
    ORDER BY authority, system, case_id
    LIMIT %(limit)s
), marked AS (
    INSERT INTO dirty (authority, system, case_id, revision, lane)
    SELECT authority, system, case_id, revision, %(lane)s
    FROM slice
    WHERE %(prefixes)s::text[] IS NULL
        OR kle IN (SELECT prefix FROM unnest(%(prefixes)s::text[]) AS prefix WHERE length(prefix) = 8)
        OR kle ^@ ANY(ARRAY(SELECT prefix FROM unnest(%(prefixes)s::text[]) AS prefix WHERE length(prefix) < 8))
    ORDER BY authority, system, case_id
    ON CONFLICT (shard, authority, system, case_id) DO UPDATE
    SET revision = greatest(dirty.revision, excluded.revision), lane = least(dirty.lane, excluded.lane)
)
SELECT system, case_id::text, (SELECT count(*) FROM slice) AS looked_at
FROM slice
ORDER BY authority DESC, system DESC, case_id DESC
LIMIT 1
