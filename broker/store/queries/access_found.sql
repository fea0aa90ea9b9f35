-- Reads in a period that concern some authorities: of a reader, of a person, or all; newest first, after a position, so many.
WITH found AS (
    (SELECT id, at FROM access_log
     WHERE reader_id = %(reader)s::text AND (%(person)s::bytea IS NULL OR subject = %(person)s::bytea OR shown @> ARRAY[%(person)s::bytea])
       AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s)
       AND (outside_hours OR NOT %(outside)s) AND authorities && %(authorities)s::text[]
     ORDER BY at DESC, id DESC LIMIT %(limit)s)
    UNION
    (SELECT id, at FROM access_log
     WHERE %(reader)s::text IS NULL AND subject = %(person)s::bytea AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s)
       AND (outside_hours OR NOT %(outside)s) AND authorities && %(authorities)s::text[]
     ORDER BY at DESC, id DESC LIMIT %(limit)s)
    UNION
    SELECT id, at FROM access_log
    WHERE %(reader)s::text IS NULL AND shown @> ARRAY[%(person)s::bytea] AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s)
      AND (outside_hours OR NOT %(outside)s) AND authorities && %(authorities)s::text[]
    UNION
    SELECT of.id, of.at FROM unnest(%(authorities)s::text[]) AS mine(cvr) CROSS JOIN LATERAL (
        (SELECT id, at FROM access_log
         WHERE authority = mine.cvr AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s) AND (outside_hours OR NOT %(outside)s)
         ORDER BY at DESC, id DESC LIMIT %(limit)s)
        UNION ALL
        (SELECT id, at FROM access_log
         WHERE authority_2 = mine.cvr AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s) AND (outside_hours OR NOT %(outside)s)
         ORDER BY at DESC, id DESC LIMIT %(limit)s)) AS of
    WHERE %(reader)s::text IS NULL AND %(person)s::bytea IS NULL
    UNION
    (SELECT id, at FROM access_log
     WHERE %(reader)s::text IS NULL AND %(person)s::bytea IS NULL AND cardinality(authorities) > 2 AND authorities && %(authorities)s::text[]
       AND at >= %(since)s AND (at, id) < (%(before)s, %(before_id)s) AND (outside_hours OR NOT %(outside)s)
     ORDER BY at DESC, id DESC LIMIT %(limit)s)
)
SELECT l.id, l.at, l.reader, l.overview, l.purpose, encode(l.subject, 'hex') AS citizen_ref, l.decision, l.basis, l.reason, l.cases, l.outside_hours
FROM (SELECT id FROM found ORDER BY at DESC, id DESC LIMIT %(limit)s) AS newest
JOIN access_log l USING (id)
ORDER BY l.at DESC, l.id DESC
