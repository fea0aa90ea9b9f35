-- Open rejections of these authorities, or of all, as they were counted.
SELECT authority, system, kle_area, open
FROM coverage_rejection
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
