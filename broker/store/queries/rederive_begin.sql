-- A new run.
INSERT INTO rederivation (authority, system, rate, entries) VALUES (%(authority)s, %(system)s, %(rate)s, %(entries)s)
RETURNING id
