-- The reader's one subscription to an overview, in the place of a former one. Of those followed no more nothing is told again.
WITH narrowed AS (
    SELECT FROM subscription
    WHERE subject = %(subject)s AND client = %(client)s AND overview = %(overview)s
        AND (NOT citizens <@ %(citizens)s::text[] OR effort_id IS DISTINCT FROM %(effort_id)s::uuid)
), forgotten AS (
    DELETE FROM subscription_shown
    WHERE subject = %(subject)s AND client = %(client)s AND overview = %(overview)s AND EXISTS (SELECT FROM narrowed)
)
INSERT INTO subscription (subject, client, overview, version, citizens, purpose, effort_id, until, authorities)
VALUES (
    %(subject)s, %(client)s, %(overview)s, gen_random_uuid(), %(citizens)s, %(purpose)s, %(effort_id)s, %(until)s,
    %(authorities)s)
ON CONFLICT (subject, client, overview) DO UPDATE
SET (version, citizens, purpose, effort_id, until, authorities, narrowed_at)
    = (excluded.version, excluded.citizens, excluded.purpose, excluded.effort_id, excluded.until, excluded.authorities,
       CASE WHEN EXISTS (SELECT FROM narrowed) THEN clock_timestamp() ELSE subscription.narrowed_at END)
