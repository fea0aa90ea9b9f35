-- A part of a new run, at its beginning.
INSERT INTO rederivation_part (rederivation, part, from_authority, from_system, from_case_id, authority, system, case_id,
                               until_authority, until_system, until_case_id)
VALUES (%(run)s, %(part)s, %(authority)s, %(system)s, %(case_id)s, %(authority)s, %(system)s, %(case_id)s,
        %(until_authority)s, %(until_system)s, %(until_case_id)s)
