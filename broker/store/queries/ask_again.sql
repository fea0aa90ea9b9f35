-- The source has to be asked again; asked twice, the later time counts.
INSERT INTO ask_again (authority, system, kle, reason) VALUES (%(authority)s, %(system)s, %(kle)s, %(reason)s)
ON CONFLICT (authority, system, kle) WHERE closed_at IS NULL
DO UPDATE SET asked_at = clock_timestamp(), reason = excluded.reason
