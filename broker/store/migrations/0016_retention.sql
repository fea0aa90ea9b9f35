-- How long KLE says that closed cases are kept, and how many are kept longer.

ALTER TABLE kle_subject ADD COLUMN preservation text, ADD COLUMN deletion text;
COMMENT ON COLUMN kle_subject.preservation IS 'under the archives act: K, K5, K10, B or tom; NULL: the edition does not say';
COMMENT ON COLUMN kle_subject.deletion IS 'ISO 8601 duration from the closing of the case until its personal data are deleted';

CREATE OR REPLACE VIEW kle_editions AS
SELECT e.published, json_build_object(
    'published', e.published,
    'titles', (SELECT json_object_agg(number, title) FROM kle_subject s WHERE s.published = e.published),
    'retired', (SELECT json_object_agg(number, retired) FROM kle_subject s
                WHERE s.published = e.published AND retired IS NOT NULL),
    'retention', (SELECT json_object_agg(number, json_build_array(preservation, deletion)) FROM kle_subject s
                  WHERE s.published = e.published AND (preservation IS NOT NULL OR deletion IS NOT NULL)),
    'successors', (SELECT json_object_agg(number, successors)
                   FROM (SELECT number, json_agg(successor) AS successors FROM kle_successor s
                         WHERE s.published = e.published GROUP BY number) replaced)
) AS body
FROM kle_edition e;

-- What was published and is deleted since has had its tombstones.
DELETE FROM published p WHERE NOT EXISTS (
    SELECT FROM entry e WHERE (e.authority, e.system, e.case_id) = (p.authority, p.system, p.case_id));

-- The newest edition that says how long a number's cases are kept; one imported as CSV says nothing.
CREATE VIEW kle_deletion AS
SELECT DISTINCT ON (number) number, preservation, deletion
FROM kle_subject
WHERE preservation IS NOT NULL OR deletion IS NOT NULL
ORDER BY number, published DESC;

ALTER TABLE coverage_part ADD COLUMN retention_overdue bigint NOT NULL DEFAULT 0;
ALTER TABLE coverage_entry ADD COLUMN retention_overdue bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN coverage_part.retention_overdue IS 'closed, and past KLE''s deletion rule';
