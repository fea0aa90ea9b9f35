-- The revision of the reference data, what is registered of some persons, and which authorities hold anything of what is asked for.
SELECT revision, registered_persons(%(numbers)s::text[], %(effort_id)s::text), ARRAY(
    SELECT DISTINCT authority FROM entry_candidates(
        %(primary_parties)s::text[], %(other_parties)s::text[], %(user_key)s::text,
        %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]))
FROM reference_revision
