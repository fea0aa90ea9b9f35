-- All reference data as one JSON value, as it was at a moment: the version of each agreement, list and rule that was the
-- newest then, what of a delimitation was in effect on that day, KLE editions that were there, the policy's document.
SELECT json_build_object(
    'revision', (SELECT revision FROM reference_revision),
    'policy', (SELECT document FROM policy_history WHERE since <= %(at)s ORDER BY since DESC LIMIT 1),
    'senders', coalesce((
        SELECT json_agg(json_build_object('version', version, 'body', body))
        FROM (SELECT DISTINCT ON (authority, system) version, body
              FROM sender_agreement WHERE put_at <= %(at)s ORDER BY authority, system, version DESC) newest), '[]'),
    'readers', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority, overview, client) body
              FROM reader_agreement WHERE put_at <= %(at)s ORDER BY authority, overview, client, version DESC) newest), '[]'),
    'delimitations', coalesce((
        SELECT json_agg(json_build_object('authority', authority, 'body', coalesce((
            SELECT jsonb_agg(choice) FROM jsonb_array_elements(body) AS choice
            WHERE coalesce((choice ->> 'effective_from')::date <= (%(at)s::timestamptz AT TIME ZONE 'UTC')::date, true)
                AND coalesce((choice ->> 'effective_to')::date > (%(at)s::timestamptz AT TIME ZONE 'UTC')::date, true)), '[]')))
        FROM (SELECT DISTINCT ON (authority) authority, body
              FROM delimitation WHERE put_at <= %(at)s ORDER BY authority, version DESC) newest), '[]'),
    'citizen_views', coalesce((
        SELECT json_agg(json_build_object('authority', authority, 'body', body))
        FROM (SELECT DISTINCT ON (authority) authority, body
              FROM citizen_view WHERE put_at <= %(at)s ORDER BY authority, version DESC) newest), '[]'),
    'authorities', coalesce((SELECT json_agg(body) FROM authority), '[]'),
    'editions', coalesce((
        SELECT json_agg(body ORDER BY published) FROM kle_editions JOIN kle_edition USING (published)
        WHERE imported_at <= %(at)s), '[]'),
    'facets', coalesce((
        SELECT json_agg(body ORDER BY published) FROM kle_facet_lists JOIN kle_facet_list USING (published)
        WHERE imported_at <= %(at)s), '[]'),
    'kle_rules', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority, system) body
              FROM kle_rules WHERE put_at <= %(at)s ORDER BY authority, system, version DESC) newest), '[]'),
    'kle_local', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority) body
              FROM kle_local WHERE put_at <= %(at)s ORDER BY authority, version DESC) newest), '[]')
)
