-- Leave it to sweeps to have entries under some KLE numbers published anew: one authority's, or those of every one.
INSERT INTO sweep (kind, authority, prefixes, lane)
SELECT 'mark', authority, %(numbers)s::text[], 1
FROM (SELECT DISTINCT authority FROM sender_agreement) AS agreed
WHERE cardinality(%(numbers)s::text[]) > 0 AND (%(authority)s::text IS NULL OR authority = %(authority)s)
