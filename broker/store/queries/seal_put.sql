-- Add the next segment of the chain.
INSERT INTO access_segment (number, sealed_at, rows, previous, head, key_id, signature)
VALUES (%(number)s, to_timestamp(0) + %(sealed_at)s * interval '1 microsecond', %(rows)s, %(previous)s, %(head)s, %(key_id)s, %(signature)s)
