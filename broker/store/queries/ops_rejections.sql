-- Open rejections of these authorities by sender and code, of so many at most: (authority, system, code, number, newest).
SELECT authority, system, code, count(*), max(at)
FROM (
    SELECT authority, system, code, at
    FROM rejection
    WHERE state = 'open' AND authority = ANY(%(authorities)s::text[])
    LIMIT %(limit)s
) AS looked_at
GROUP BY authority, system, code
