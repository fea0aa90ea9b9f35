-- The time, and all that is registered of the persons behind some numbers; of consents only those for an effort, if one is named.
SELECT clock_timestamp(), coalesce(json_agg(json_build_object(
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
          AND (%(effort_id)s::text IS NULL OR r.kind <> 'consent' OR r.effort_id::text = %(effort_id)s))
)), '[]')::text
FROM (SELECT DISTINCT citizen_id FROM citizen_number WHERE number = ANY(%(numbers)s::text[])) asked
