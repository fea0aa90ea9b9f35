-- Who has looked up the same person again and again in a period, within some authorities; the most often first.
WITH looked AS (
    SELECT reader_id, subject, at FROM access_log
    WHERE reader_id = %(reader)s::text AND (%(person)s::bytea IS NULL OR subject = %(person)s::bytea)
      AND at >= %(since)s AND at < %(until)s AND (outside_hours OR NOT %(outside)s) AND authorities && %(authorities)s::text[]
    UNION ALL
    SELECT reader_id, subject, at FROM access_log
    WHERE %(reader)s::text IS NULL AND subject = %(person)s::bytea
      AND at >= %(since)s AND at < %(until)s AND (outside_hours OR NOT %(outside)s) AND authorities && %(authorities)s::text[]
    UNION ALL
    SELECT of.reader_id, of.subject, of.at FROM unnest(%(authorities)s::text[]) AS mine(cvr) CROSS JOIN LATERAL (
        SELECT reader_id, subject, at FROM access_log
        WHERE authority = mine.cvr AND at >= %(since)s AND at < %(until)s AND (outside_hours OR NOT %(outside)s)
        UNION ALL
        -- Of several authorities of one row the first that is asked for counts.
        SELECT reader_id, subject, at FROM access_log
        WHERE authority_2 = mine.cvr AND at >= %(since)s AND at < %(until)s AND (outside_hours OR NOT %(outside)s)
          AND authority <> ALL(%(authorities)s::text[])) AS of
    WHERE %(reader)s::text IS NULL AND %(person)s::bytea IS NULL
    UNION ALL
    SELECT reader_id, subject, at FROM access_log
    WHERE %(reader)s::text IS NULL AND %(person)s::bytea IS NULL AND cardinality(authorities) > 2 AND authorities && %(authorities)s::text[]
      AND at >= %(since)s AND at < %(until)s AND (outside_hours OR NOT %(outside)s)
      AND authority <> ALL(%(authorities)s::text[]) AND authority_2 <> ALL(%(authorities)s::text[])
)
SELECT reader_id, encode(subject, 'hex') AS citizen_ref, count(*) AS times, min(at) AS first_at, max(at) AS last_at
FROM looked
WHERE subject IS NOT NULL
GROUP BY reader_id, subject
HAVING count(*) >= %(times)s
ORDER BY times DESC, last_at DESC
LIMIT %(limit)s
