-- The newest version of a subject that is this schema.
SELECT version.subject, version.version, version.schema_id, schema.body, version.deleted
FROM registry_version AS version
JOIN registry_schema AS schema ON schema.id = version.schema_id
WHERE version.subject = %(subject)s AND schema.digest = %(digest)s AND (%(deleted)s OR NOT version.deleted)
ORDER BY version.version DESC
LIMIT 1
