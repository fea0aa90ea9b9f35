-- Set level and mode of a subject (empty: of all).
INSERT INTO registry_rule (subject, level, mode) VALUES (%(subject)s, %(level)s, %(mode)s)
ON CONFLICT (subject) DO UPDATE SET level = excluded.level, mode = excluded.mode
