-- Whether a run whose parts have all come to their end was made before the reference data of now.
SELECT bool_and(p.done) AND max(p.last_revision) < (SELECT revision FROM reference_revision)
FROM rederivation_part p
WHERE p.rederivation = %(run)s
