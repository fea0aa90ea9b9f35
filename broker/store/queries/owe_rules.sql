-- The index has yet to be derived anew by this set of mapping rules.
INSERT INTO kle_rules_owed (authority, system) VALUES (%(authority)s, %(system)s)
ON CONFLICT (authority, system) DO UPDATE SET since = clock_timestamp()
