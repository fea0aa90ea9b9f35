-- Write down one read, permitted or denied, and that it waits for the sealer.
WITH written AS (
    INSERT INTO access_log (reader, overview, purpose, subject, shown, authorities, decision, basis, reason, cases, citizen_visible_from)
    VALUES (%(reader)s::jsonb, %(overview)s, %(purpose)s, %(subject)s, %(shown)s::bytea[], %(authorities)s::text[], %(decision)s,
        %(basis)s, %(reason)s, %(cases)s::text[], clock_timestamp() + %(after)s::interval)
    RETURNING id
)
INSERT INTO access_unsealed SELECT id FROM written
