-- What had been registered by a moment of the persons behind some numbers, as it came; and whether numbers have become
-- theirs since: whose they were before is not kept.
SELECT coalesce(json_agg(json_build_object(
    'numbers', (SELECT json_agg(number ORDER BY number) FROM citizen_number n WHERE n.citizen_id = asked.citizen_id),
    'history', (
        SELECT json_agg(json_build_array(h.kind, h.id, h.registered_at, h.body))
        FROM register r JOIN register_history h USING (kind, id)
        WHERE r.citizen_id = asked.citizen_id AND h.put_at <= %(at)s),
    'representatives', (
        SELECT json_object_agg(named.number, json_build_object(
            'numbers', (SELECT json_agg(n.number) FROM citizen_number n WHERE n.citizen_id = named.citizen_id),
            'died', (SELECT min(h.body ->> 'effective_from')
                     FROM register d JOIN register_history h USING (kind, id)
                     WHERE d.citizen_id = named.citizen_id AND d.kind = 'person_event'
                       AND h.body ->> 'kind' = 'DECEASED' AND h.put_at <= %(at)s)))
        FROM citizen_number named
        WHERE named.number IN (
            SELECT h.body ->> 'representative' FROM register r JOIN register_history h USING (kind, id)
            WHERE r.citizen_id = asked.citizen_id AND r.kind = 'power')),
    'joined_since', EXISTS (
        SELECT FROM register r JOIN register_history h USING (kind, id)
        WHERE r.citizen_id = asked.citizen_id AND r.kind = 'person_event'
          AND h.body ->> 'kind' = 'CPR_CHANGED' AND h.put_at > %(at)s)
)), '[]')::text
FROM (SELECT DISTINCT citizen_id FROM citizen_number WHERE number = ANY(%(numbers)s::text[])) asked
