-- The newest review of the codes that an authority uses in a system.
SELECT at, codes, unmapped, revision FROM kle_check
WHERE authority = %(authority)s AND system = %(system)s
ORDER BY at DESC LIMIT 1
