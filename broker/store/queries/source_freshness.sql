-- How fresh every source of some authorities is, whether or not it holds anything of the citizen asked about.
SELECT authority, system, max(last_registered_at)
FROM source_freshness
WHERE authority = ANY(%(authorities)s::text[])
GROUP BY authority, system
ORDER BY authority, system
