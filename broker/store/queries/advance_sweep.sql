-- A slice is done.
UPDATE sweep SET after_system = %(after_system)s, after_case = %(after_case)s::uuid, done = done + %(done)s, at = clock_timestamp()
WHERE id = %(id)s
