-- What stands of a citizen in the register of persons by an authority, or by nobody in particular.
SELECT kind, id::text, body
FROM register
WHERE citizen_id IN (SELECT citizen_id FROM citizen_number WHERE number = ANY(%(numbers)s::text[]))
    AND (%(authority)s = ANY(authorities) OR authorities = '{}')
ORDER BY kind, id
