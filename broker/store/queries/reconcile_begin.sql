-- A new manifest takes the place of what this sender has not finished, and of the lists that an earlier one left.
WITH unfinished AS (
    DELETE FROM manifest
    WHERE authority = %(authority)s AND system = %(system)s AND finished_at IS NULL
    RETURNING id
), rows_of_it AS (
    DELETE FROM manifest_row WHERE manifest IN (SELECT id FROM unfinished)
)
INSERT INTO manifest (authority, system, as_of, areas)
VALUES (%(authority)s, %(system)s, %(as_of)s, %(areas)s)
RETURNING id
