-- The newest reconciliation of each source in each KLE area.
SELECT DISTINCT ON (authority, system, kle_area) authority, system, kle_area, at, missing + superfluous + older + newer
FROM reconciliation
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
ORDER BY authority, system, kle_area, at DESC
