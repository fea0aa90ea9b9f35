-- Whether an agreement has ended and has not begun anew.
SELECT body ->> 'state' = 'ENDED' FROM sender_agreement
WHERE authority = %(authority)s AND system = %(system)s
ORDER BY version DESC
LIMIT 1
