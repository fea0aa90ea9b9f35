-- How many live entries stand on each of some KLE numbers, and how many of their cases are from a day on.
SELECT kle, count(*), count(*) FILTER (WHERE created_at >= extract(epoch FROM %(since)s::date)::bigint * 1000000)
FROM entry
WHERE kle = ANY(%(numbers)s::text[])
GROUP BY kle
