-- Which of these cases the source has to send again.
SELECT DISTINCT case_id::text
FROM reconciliation_difference
WHERE manifest = %(manifest)s AND kind IN ('missing', 'older') AND case_id = ANY(%(cases)s::uuid[])
