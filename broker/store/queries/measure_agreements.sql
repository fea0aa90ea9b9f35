-- The state of the newest version of each sender agreement.
SELECT DISTINCT ON (authority, system) authority, system, body ->> 'state'
FROM sender_agreement
ORDER BY authority, system, version DESC
