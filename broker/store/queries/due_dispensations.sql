-- Dispensations that are over, and the last state each agreement had on the way.
SELECT version, body, (
    SELECT p.body ->> 'state' FROM sender_agreement p
    WHERE p.authority = newest.authority AND p.system = newest.system AND p.body ->> 'state' = ANY(%(way)s)
    ORDER BY p.version DESC LIMIT 1)
FROM (SELECT DISTINCT ON (authority, system) * FROM sender_agreement ORDER BY authority, system, version DESC) newest
WHERE body ->> 'state' = 'DISPENSATION' AND (body ->> 'dispensation_until')::date <= %(day)s
