-- The run of this scope that has not come to its end.
SELECT id FROM rederivation
WHERE authority IS NOT DISTINCT FROM %(authority)s AND system IS NOT DISTINCT FROM %(system)s AND finished_at IS NULL
