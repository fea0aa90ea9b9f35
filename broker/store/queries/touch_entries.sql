-- Have every entry of an authority (and system) published anew, in the order in which everyone takes these rows.
INSERT INTO dirty (authority, system, case_id, revision, lane)
SELECT authority, system, case_id, revision, %(lane)s
FROM entry
WHERE authority = %(authority)s AND (%(system)s::text IS NULL OR system = %(system)s)
ORDER BY authority, system, case_id
ON CONFLICT (shard, authority, system, case_id) DO UPDATE
SET revision = greatest(dirty.revision, excluded.revision), lane = least(dirty.lane, excluded.lane)
