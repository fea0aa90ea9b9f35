-- Every part of a run at its beginning again.
WITH next AS (UPDATE rederivation SET pass = pass + 1 WHERE id = %(run)s)
UPDATE rederivation_part SET
    authority = from_authority, system = from_system, case_id = from_case_id,
    seen = 0, unmapped = 0, first_revision = NULL, last_revision = NULL, done = false
WHERE rederivation = %(run)s
