-- Have a page of entries published again, whatever has been published of them; returns the last of them, if any.
WITH page AS MATERIALIZED (
    SELECT authority, system, case_id, revision
    FROM entry
    WHERE (authority, system, case_id) > (%(authority)s, %(system)s, %(case_id)s::uuid)
    ORDER BY authority, system, case_id
    LIMIT %(limit)s
), marked AS (
    INSERT INTO dirty (authority, system, case_id, revision)
    SELECT authority, system, case_id, revision FROM page ORDER BY authority, system, case_id
    ON CONFLICT (shard, authority, system, case_id) DO UPDATE
    SET revision = greatest(dirty.revision, excluded.revision)
)
SELECT authority, system, case_id::text, (SELECT count(*) FROM page) AS entries
FROM page
ORDER BY authority DESC, system DESC, case_id DESC
LIMIT 1
