-- Every segment of the chain, oldest first.
SELECT number, (extract(epoch FROM sealed_at) * 1000000)::bigint, rows, previous, head, key_id, signature
FROM access_segment
ORDER BY number
