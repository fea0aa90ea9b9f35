-- All reference data as one JSON value, as it was at a moment: the version of each agreement that was the newest then, KLE editions that were there.
SELECT json_build_object(
    'revision', (SELECT revision FROM reference_revision),
    'senders', coalesce((
        SELECT json_agg(json_build_object('version', version, 'body', body))
        FROM (SELECT DISTINCT ON (authority, system) version, body
              FROM sender_agreement WHERE put_at <= %(at)s ORDER BY authority, system, version DESC) newest), '[]'),
    'readers', coalesce((
        SELECT json_agg(body)
        FROM (SELECT DISTINCT ON (authority, overview, client) body
              FROM reader_agreement WHERE put_at <= %(at)s ORDER BY authority, overview, client, version DESC) newest), '[]'),
    'delimitations', coalesce((
        SELECT json_agg(json_build_object('authority', authority, 'body', body))
        FROM (SELECT DISTINCT ON (authority) authority, body
              FROM delimitation WHERE put_at <= %(at)s ORDER BY authority, version DESC) newest), '[]'),
    'authorities', coalesce((SELECT json_agg(body) FROM authority), '[]'),
    'editions', coalesce((
        SELECT json_agg(json_build_object('published', published, 'titles', titles) ORDER BY published)
        FROM (SELECT published, json_object_agg(number, title) AS titles
              FROM kle_subject JOIN kle_edition USING (published) WHERE imported_at <= %(at)s GROUP BY published) edition), '[]')
)
