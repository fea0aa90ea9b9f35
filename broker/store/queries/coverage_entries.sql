-- What was counted of these authorities, or of all: entries, those incomplete, and when the last one came.
SELECT authority, system, kle_area, entries, incomplete, last_received_at
FROM coverage_entry
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
