-- The id of a schema, a new one when it was not there; run under the registry's lock.
WITH put AS (
    INSERT INTO registry_schema (id, body, digest)
    SELECT greatest(%(first)s, coalesce((SELECT max(id) + 1 FROM registry_schema), 0)), %(body)s, %(digest)s
    WHERE NOT EXISTS (SELECT FROM registry_schema WHERE digest = %(digest)s)
    RETURNING id
)
SELECT id FROM put UNION ALL SELECT id FROM registry_schema WHERE digest = %(digest)s
