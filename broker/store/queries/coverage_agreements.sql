-- The newest version of each sender agreement of these authorities, or of all.
SELECT DISTINCT ON (authority, system) authority, system, body ->> 'state', body -> 'kle',
    (body ->> 'dispensation_until')::date
FROM sender_agreement
WHERE %(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[])
ORDER BY authority, system, version DESC
