-- Have every entry under some KLE numbers published anew, in the order in which everyone takes these rows.
INSERT INTO dirty (authority, system, case_id, revision, lane)
SELECT authority, system, case_id, revision, 1
FROM entry
WHERE kle = ANY(%(numbers)s::text[])
ORDER BY authority, system, case_id
ON CONFLICT (shard, authority, system, case_id) DO UPDATE
SET revision = greatest(dirty.revision, excluded.revision), lane = least(dirty.lane, excluded.lane)
