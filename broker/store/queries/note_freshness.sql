-- The newest registration and arrival of each sender in this partition.
INSERT INTO source_freshness AS f (authority, system, partition, last_registered_at, last_received_at)
SELECT authority, system, %(partition)s, registered_at, timestamptz 'epoch' + received_ms * interval '1 ms'
FROM unnest(%(authorities)s::text[], %(systems)s::text[], %(registered)s::bigint[], %(received_ms)s::bigint[])
    AS n (authority, system, registered_at, received_ms)
ON CONFLICT (authority, system, partition) DO UPDATE SET
    last_registered_at = greatest(f.last_registered_at, excluded.last_registered_at),
    last_received_at = greatest(f.last_received_at, excluded.last_received_at)
