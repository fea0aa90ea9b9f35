-- Put a bundled schema under its fixed id; whether what stands there now is that schema.
WITH put AS (
    INSERT INTO registry_schema (id, body, digest) VALUES (%(id)s, %(body)s, %(digest)s)
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT EXISTS (SELECT FROM put)
    OR EXISTS (SELECT FROM registry_schema WHERE id = %(id)s AND digest = %(digest)s)
