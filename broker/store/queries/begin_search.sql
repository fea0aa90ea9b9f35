-- The revision of the reference data, what is registered of some persons, and which authorities hold anything of what is asked for.
--
-- For the rest of the transaction plans are made once: for each reader's own authorities one might seem cheaper.
SELECT revision, registered_persons(%(numbers)s::text[], %(effort_id)s::text), ARRAY(
    SELECT DISTINCT authority FROM entry_candidates(
        %(primary_parties)s::text[], %(other_parties)s::text[], %(user_key)s::text,
        %(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])),
    set_config('plan_cache_mode', 'force_generic_plan', true)
FROM reference_revision
