-- These entries may have a value in these sparse overview topics from now on.
INSERT INTO published (overview, authority, system, case_id)
SELECT * FROM unnest(%(overviews)s::text[], %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])
ON CONFLICT DO NOTHING
