-- Take the telling of one day to one vendor: the first time, or again where it is due; nobody else has it then.
INSERT INTO rejection_telling AS told (system, day, state) VALUES (%(system)s, %(day)s, 'underway')
ON CONFLICT (system, day) DO UPDATE SET state = 'underway', attempts = told.attempts + 1, at = clock_timestamp()
    WHERE told.state = 'again' AND told.next_at <= clock_timestamp()
RETURNING attempts
