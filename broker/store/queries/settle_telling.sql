-- What came of telling a vendor; `wait` is how long until it is tried again.
UPDATE rejection_telling
SET state = %(state)s, next_at = clock_timestamp() + %(wait)s::interval, at = clock_timestamp()
WHERE system = %(system)s AND day = %(day)s
