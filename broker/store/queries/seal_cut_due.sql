-- The oldest segments of the chain, where they have been kept as long as was promised and are anchored.
SELECT number, head, rows FROM (
    SELECT number, head, rows, bool_and(anchored AND sealed_at < %(before)s) OVER (ORDER BY number) AS due
    FROM (SELECT * FROM access_segment ORDER BY number LIMIT %(limit)s) AS oldest) AS judged
WHERE due
ORDER BY number
