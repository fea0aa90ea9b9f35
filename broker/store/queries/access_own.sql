-- Reads of some persons' cases in a period, as far as the persons may know of them, newest first; with what the readers' authorities are called.
WITH own AS (
    (SELECT id FROM access_log WHERE subject = ANY(%(persons)s::bytea[]) AND at >= %(since)s AND at < %(until)s
        AND coalesce(citizen_visible_from <= %(now)s, true)
     ORDER BY at DESC, id DESC LIMIT %(limit)s)
    UNION
    SELECT id FROM access_log WHERE shown && %(persons)s::bytea[] AND at >= %(since)s AND at < %(until)s
)
SELECT l.id, l.at, l.reader, l.overview, l.purpose, l.decision, l.cases, of.names, of.may_name
FROM own JOIN access_log l USING (id)
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(coalesce(a.body ->> 'name', cvr) ORDER BY cvr), '{}') AS names,
        coalesce(bool_and(coalesce((a.body ->> 'names_in_access_log')::boolean, false)), false) AS may_name
    FROM jsonb_array_elements_text(coalesce(l.reader -> 'authorities', '[]')) AS one(cvr) LEFT JOIN authority a USING (cvr)
) AS of
WHERE coalesce(l.citizen_visible_from <= %(now)s, true)
ORDER BY l.at DESC, l.id DESC
LIMIT %(limit)s
