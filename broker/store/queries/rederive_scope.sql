-- How many entries a scope has.
SELECT count(*) FROM entry
WHERE (%(authority)s::text IS NULL OR authority = %(authority)s) AND (%(system)s::text IS NULL OR system = %(system)s)
