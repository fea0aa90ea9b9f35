-- What lies behind a sender agreement: the last state it had on the way, the newest mapping check and compliance run.
SELECT
    (SELECT body ->> 'state' FROM sender_agreement
     WHERE authority = %(authority)s AND system = %(system)s AND body ->> 'state' = ANY(%(way)s)
     ORDER BY version DESC LIMIT 1),
    (SELECT unmapped FROM kle_check
     WHERE authority = %(authority)s AND system = %(system)s ORDER BY at DESC LIMIT 1),
    coalesce((SELECT passed FROM compliance_run
     WHERE authority = %(authority)s AND system = %(system)s ORDER BY at DESC LIMIT 1), false)
