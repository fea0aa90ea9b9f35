-- Put the batch's documents in; returns the ordinal and former stamp of each that was changed. Marks every entry that was
-- published with one whose title, level or removal is another now; first those that fewer may see.
WITH incoming AS (
    SELECT *
    FROM unnest(
        %(ordinals)s::integer[], %(authorities)s::text[], %(systems)s::text[], %(document_ids)s::uuid[], %(newest)s::bytea[],
        %(removed)s::boolean[], %(levels)s::smallint[], %(titles)s::text[], %(confidential_titles)s::text[], %(types)s::text[],
        %(letter_dates)s::date[]
    ) AS said (
        ordinal, authority, system, document_id, newest, removed, sensitivity, title, confidential_title, type, letter_date
    )
), merged AS (
    INSERT INTO document AS d (
        authority, document_id, system, newest, removed, sensitivity, title, confidential_title, type, letter_date
    )
    SELECT authority, document_id, system, newest, removed, sensitivity, title, confidential_title, type, letter_date
    FROM incoming
    ORDER BY authority, document_id, system
    ON CONFLICT (authority, document_id, system) DO UPDATE SET
        revision = d.revision + 1,
        newest = excluded.newest,
        removed = excluded.removed,
        sensitivity = excluded.sensitivity,
        title = excluded.title,
        confidential_title = excluded.confidential_title,
        type = excluded.type,
        letter_date = excluded.letter_date,
        indexed_at = clock_timestamp()
    WHERE d.newest < excluded.newest
    RETURNING d.authority, d.document_id, d.system, old.newest AS before,
        new.removed AND NOT coalesce(old.removed, false)
            OR new.sensitivity > coalesce(old.sensitivity, 0) AS narrowed,
        (new.removed, new.sensitivity, new.title) IS DISTINCT FROM (old.removed, old.sensitivity, old.title) AS changed
), touched AS (
    SELECT e.authority, e.system, e.case_id, e.revision, bool_or(m.narrowed) AS narrowed
    FROM merged m
    JOIN document_link l ON l.authority = m.authority AND l.document_id = m.document_id
    JOIN entry e ON e.authority = l.authority AND e.system = l.system AND e.case_id = l.case_id
    WHERE m.changed
    GROUP BY e.authority, e.system, e.case_id
), marked AS (
    INSERT INTO dirty (authority, system, case_id, revision, lane)
    SELECT authority, system, case_id, revision, CASE WHEN narrowed THEN 0 ELSE 1 END
    FROM touched
    ORDER BY authority, system, case_id
    ON CONFLICT (shard, authority, system, case_id) DO UPDATE
        SET revision = greatest(dirty.revision, excluded.revision), lane = least(dirty.lane, excluded.lane)
)
SELECT i.ordinal, m.before
FROM merged m JOIN incoming i USING (authority, system, document_id)
