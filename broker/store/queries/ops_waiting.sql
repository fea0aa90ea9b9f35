-- What waits to be published, of so many of each lane at most: all, to be purged, of changed persons; and since when.
SELECT count(*) AS entries, count(*) FILTER (WHERE lane = 0) AS purges, count(asked_at) AS persons,
    min(since) AS since, min(asked_at) AS asked_at
FROM (
    (SELECT lane, asked_at, since FROM dirty WHERE lane = 0 LIMIT %(limit)s)
    UNION ALL
    (SELECT lane, asked_at, since FROM dirty WHERE lane > 0 LIMIT %(limit)s)
) AS looked_at
