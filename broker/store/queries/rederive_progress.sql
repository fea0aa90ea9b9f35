-- How far a run has come, and the revisions its pass has met.
SELECT r.pass, r.entries, sum(p.seen)::bigint, sum(p.changed)::bigint, sum(p.unmapped)::bigint,
       min(p.first_revision), max(p.last_revision), array_agg(p.part ORDER BY p.part) FILTER (WHERE NOT p.done)
FROM rederivation r JOIN rederivation_part p ON p.rederivation = r.id
WHERE r.id = %(run)s
GROUP BY r.id
