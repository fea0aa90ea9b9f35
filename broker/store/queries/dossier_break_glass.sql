-- Reads of a citizen's cases in an authority without the consent that was missing.
SELECT at, overview, reader, basis, reason, cases, reviewed_at
FROM break_glass
WHERE authority = %(authority)s
    AND citizen_id IN (SELECT citizen_id FROM citizen_number WHERE number = ANY(%(numbers)s::text[]))
ORDER BY at
