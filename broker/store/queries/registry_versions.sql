-- Every version of one subject, oldest first.
SELECT version.subject, version.version, version.schema_id, schema.body
FROM registry_version AS version
JOIN registry_schema AS schema ON schema.id = version.schema_id
WHERE version.subject = %s
ORDER BY version.version
