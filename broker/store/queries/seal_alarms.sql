-- Raise the alarms of some new rows of the log: each rule once a row, many citizens once a reader and hour.
WITH new AS (
    SELECT * FROM access_log WHERE id = ANY(%(ids)s::bigint[]) AND reader ->> 'role' <> 'citizen'
), watched AS (
    SELECT 'watched' AS rule, n.reader_id, n.id
    FROM new n
    WHERE EXISTS (SELECT FROM access_watch w WHERE w.authority = ANY(n.authorities)
                  AND (w.subject = n.subject OR w.subject = ANY(n.shown)))
), vip AS (
    SELECT 'vip' AS rule, n.reader_id, n.id
    FROM new n
    WHERE EXISTS (
        SELECT FROM unnest(n.cases) AS shown_case
        JOIN entry e ON e.authority = split_part(shown_case, '/', 1) AND e.system = split_part(shown_case, '/', 2)
            AND e.case_id = split_part(shown_case, '/', 3)::uuid
        WHERE e.sensitivity >= 4)
), many AS (
    SELECT 'many_citizens' AS rule, r.reader_id, r.id
    FROM (SELECT reader_id, max(id) AS id FROM new GROUP BY reader_id) AS r
    WHERE (SELECT count(DISTINCT l.subject) FROM access_log l
           WHERE l.reader_id = r.reader_id AND l.at > statement_timestamp() - interval '1 hour') > %(most)s
      AND NOT EXISTS (SELECT FROM access_alarm a WHERE a.reader_id = r.reader_id AND a.rule = 'many_citizens'
                      AND a.at > statement_timestamp() - interval '1 hour')
), raised AS (
    INSERT INTO access_alarm (rule, reader_id, access_id)
    SELECT * FROM watched UNION ALL SELECT * FROM vip UNION ALL SELECT * FROM many
    ON CONFLICT DO NOTHING
    RETURNING rule
)
SELECT rule, count(*) FROM raised GROUP BY rule
