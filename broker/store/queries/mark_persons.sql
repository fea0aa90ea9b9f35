-- Have every entry of some citizens published anew before all else, and of those for whom they act; in the order in
-- which everyone takes these rows.
WITH concerned AS MATERIALIZED (
    SELECT unnest(%(citizens)s::uuid[]) AS citizen_id
    UNION
    SELECT citizen_id FROM register WHERE representative_id = ANY(%(citizens)s::uuid[])
), named AS MATERIALIZED (
    SELECT array_agg('CPR:' || number) AS parties FROM citizen_number JOIN concerned USING (citizen_id)
), of_them AS (
    SELECT authority, system, case_id FROM entry WHERE primary_party = ANY((SELECT parties FROM named)::text[])
    UNION
    SELECT authority, system, case_id FROM entry
    WHERE parties && ARRAY(
        SELECT role || '|' || party FROM named, unnest(parties) AS party, unnest(%(roles)s::text[]) AS role)
)
INSERT INTO dirty (authority, system, case_id, revision, lane, asked_at)
SELECT authority, system, case_id, e.revision, 0, %(asked_at)s
FROM of_them JOIN entry e USING (authority, system, case_id)
ORDER BY authority, system, case_id
ON CONFLICT (shard, authority, system, case_id) DO UPDATE
SET revision = greatest(dirty.revision, excluded.revision), lane = 0,
    asked_at = least(dirty.asked_at, excluded.asked_at)
