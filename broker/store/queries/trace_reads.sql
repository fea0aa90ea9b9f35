-- When a case was shown since a moment, and where; not to whom.
SELECT at, overview
FROM access_log
WHERE at >= %(since)s AND %(case)s = ANY(cases) AND decision = 'permit' AND overview <> 'trace'
    AND (authority = %(authority)s OR authority_2 = %(authority)s OR cardinality(authorities) > 2)
ORDER BY at
LIMIT 100
