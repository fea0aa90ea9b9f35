-- These entries have no value in these sparse overview topics any more: their tombstones are there.
DELETE FROM published p
USING unnest(%(overviews)s::text[], %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])
    AS gone (overview, authority, system, case_id)
WHERE p.overview = gone.overview AND p.authority = gone.authority AND p.system = gone.system AND p.case_id = gone.case_id
