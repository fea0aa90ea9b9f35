-- Each sender with an agreement of these authorities: its state, when it last registered anything, and when that came.
SELECT agreed.authority, named.body ->> 'name' AS authority_name, agreed.system, agreed.state,
    to_timestamp(max(fresh.last_registered_at) / 1e6::float8) AS last_registered_at,
    max(fresh.last_received_at) AS last_received_at
FROM (
    SELECT DISTINCT ON (authority, system) authority, system, body ->> 'state' AS state
    FROM sender_agreement
    WHERE authority = ANY(%(authorities)s::text[])
    ORDER BY authority, system, version DESC
) AS agreed
LEFT JOIN authority AS named ON named.cvr = agreed.authority
LEFT JOIN source_freshness AS fresh ON fresh.authority = agreed.authority AND fresh.system = agreed.system
GROUP BY agreed.authority, authority_name, agreed.system, agreed.state
ORDER BY authority_name, agreed.authority, agreed.system
LIMIT %(limit)s
