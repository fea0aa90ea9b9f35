-- What was counted of these authorities, or of all: entries, those incomplete, when the last one came, those
-- kept too long, those on numbers that are to be gone.
SELECT authority, system, kle_area, entries, incomplete, last_received_at, retention_overdue, announced_retired
FROM coverage_entry
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
