-- Versions by subject and schema, null for any, in order; the deleted ones too when they are asked for.
SELECT version.subject, version.version, version.schema_id, schema.body, version.deleted
FROM registry_version AS version
JOIN registry_schema AS schema ON schema.id = version.schema_id
WHERE (%(subject)s::text IS NULL OR version.subject = %(subject)s)
    AND (%(prefix)s::text IS NULL OR starts_with(version.subject, %(prefix)s))
    AND (%(id)s::integer IS NULL OR version.schema_id = %(id)s)
    AND (%(deleted)s OR NOT version.deleted)
ORDER BY version.subject COLLATE "C", version.version
