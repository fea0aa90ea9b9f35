-- What was counted of these authorities, or of all: entries, those incomplete, and when the last one came.
SELECT authority, system, kle_area, sum(entries)::bigint, sum(incomplete)::bigint, max(last_received_at)
FROM coverage_part
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
GROUP BY authority, system, kle_area
