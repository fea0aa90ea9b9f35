-- Make a schema the next version of a subject, unless it is one of its versions; run under the registry's lock.
INSERT INTO registry_version (subject, version, schema_id)
SELECT %(subject)s, coalesce((SELECT max(version) FROM registry_version WHERE subject = %(subject)s), 0) + 1, %(id)s
WHERE NOT EXISTS (
    SELECT FROM registry_version WHERE subject = %(subject)s AND schema_id = %(id)s AND NOT deleted
)
