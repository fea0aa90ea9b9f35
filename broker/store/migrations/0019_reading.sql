-- Reading: what every search begins with is planned once a session, and never reads a whole table.

ALTER FUNCTION entry_candidates SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION entry_candidates SET enable_seqscan = off;

CREATE FUNCTION registered_persons(numbers text[], wanted_effort text)
    RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, public
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
    SELECT coalesce(json_agg(json_build_object(
        'numbers', (SELECT json_agg(number ORDER BY number) FROM citizen_number n WHERE n.citizen_id = asked.citizen_id),
        'register', (
            SELECT json_agg(json_build_array(r.kind, r.id, r.body, CASE WHEN r.representative_id IS NOT NULL THEN (
                SELECT json_build_object(
                    'numbers', json_agg(n.number),
                    'died', (SELECT min(d.body ->> 'effective_from') FROM register d
                             WHERE d.citizen_id = r.representative_id AND d.kind = 'person_event'
                               AND d.body ->> 'kind' = 'DECEASED'))
                FROM citizen_number n WHERE n.citizen_id = r.representative_id) END))
            FROM register r
            WHERE r.citizen_id = asked.citizen_id
              AND (wanted_effort IS NULL OR r.kind <> 'consent' OR r.effort_id::text = wanted_effort))
    )), '[]')::text
    FROM (SELECT DISTINCT citizen_id FROM citizen_number WHERE number = ANY(numbers)) asked
$$;
COMMENT ON FUNCTION registered_persons IS 'all that is registered of the persons behind some numbers, as JSON; of consents only those for an effort, if one is named';
