-- How fresh each source with an agreement is, in seconds since 1970.
SELECT fresh.authority, fresh.system, max(fresh.last_registered_at) / 1e6::float8
FROM source_freshness AS fresh
WHERE EXISTS (
    SELECT FROM sender_agreement AS agreed
    WHERE agreed.authority = fresh.authority AND agreed.system = fresh.system
)
GROUP BY fresh.authority, fresh.system
