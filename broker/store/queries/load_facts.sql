-- All reference data as one JSON value: the newest version of each agreement, what of a delimitation is in effect on the
-- day the clock has come to, all of KLE.
SELECT json_build_object(
    'revision', (SELECT revision FROM reference_revision),
    'senders', coalesce((
        SELECT json_agg(json_build_object('version', version, 'body', body))
        FROM (SELECT DISTINCT ON (authority, system) version, body
              FROM sender_agreement ORDER BY authority, system, version DESC) newest), '[]'),
    'readers', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority, overview, client) body
              FROM reader_agreement ORDER BY authority, overview, client, version DESC) newest), '[]'),
    'delimitations', coalesce((
        SELECT json_agg(json_build_object('authority', authority, 'body', coalesce((
            SELECT jsonb_agg(choice) FROM jsonb_array_elements(body) AS choice, clock
            WHERE coalesce((choice ->> 'effective_from')::date <= clock.day, true)
                AND coalesce((choice ->> 'effective_to')::date > clock.day, true)), '[]')))
        FROM (SELECT DISTINCT ON (authority) authority, body
              FROM delimitation ORDER BY authority, version DESC) newest), '[]'),
    'citizen_views', coalesce((
        SELECT json_agg(json_build_object('authority', authority, 'body', body))
        FROM (SELECT DISTINCT ON (authority) authority, body
              FROM citizen_view ORDER BY authority, version DESC) newest), '[]'),
    'authorities', coalesce((SELECT json_agg(body) FROM authority), '[]'),
    'editions', coalesce((SELECT json_agg(body ORDER BY published) FROM kle_editions), '[]'),
    'facets', coalesce((SELECT json_agg(body ORDER BY published) FROM kle_facet_lists), '[]'),
    'kle_rules', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority, system) body
              FROM kle_rules ORDER BY authority, system, version DESC) newest), '[]'),
    'kle_local', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority) body
              FROM kle_local ORDER BY authority, version DESC) newest), '[]')
)
