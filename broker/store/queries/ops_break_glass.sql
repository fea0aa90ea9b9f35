-- Reads without the consent that was missing, of these authorities, that nobody has looked at: how many, since when.
SELECT authority, overview, count(*) AS number, min(at) AS since
FROM (
    SELECT authority, overview, at
    FROM break_glass
    WHERE reviewed_at IS NULL AND authority = ANY(%(authorities)s::text[])
    LIMIT %(limit)s
) AS looked_at
GROUP BY authority, overview
ORDER BY authority, overview
