-- The reader's one subscription to an overview, in the place of a former one.
INSERT INTO subscription (subject, client, overview, version, citizens, purpose, effort_id, until)
VALUES (%(subject)s, %(client)s, %(overview)s, gen_random_uuid(), %(citizens)s, %(purpose)s, %(effort_id)s, %(until)s)
ON CONFLICT (subject, client, overview) DO UPDATE
SET (version, citizens, purpose, effort_id, until)
    = (excluded.version, excluded.citizens, excluded.purpose, excluded.effort_id, excluded.until)
