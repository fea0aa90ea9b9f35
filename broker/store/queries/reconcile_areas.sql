-- The counts of one comparison by KLE area.
SELECT kle_area, missing, superfluous, older, newer, same, outside
FROM reconciliation
WHERE manifest = %(manifest)s
ORDER BY kle_area
