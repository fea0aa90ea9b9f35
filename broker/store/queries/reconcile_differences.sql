-- A page of one kind of difference, in the order of the cases.
SELECT case_id::text, kle_area, here, there
FROM reconciliation_difference
WHERE manifest = %(manifest)s AND kind = %(kind)s AND case_id > %(after)s::uuid
ORDER BY case_id
LIMIT %(limit)s
