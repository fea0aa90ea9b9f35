-- Leave the rest of a change to be done slice by slice.
INSERT INTO sweep (kind, authority, system, prefixes, lane, after_system, after_case)
VALUES (%(kind)s, %(authority)s, %(system)s, %(prefixes)s, %(lane)s, %(after_system)s, %(after_case)s::uuid)
