-- What began or ended on the days after one, up to and with another: entries to be marked, or to be deleted.
WITH reader AS (
    SELECT DISTINCT ON (authority, overview, client) authority, body
    FROM reader_agreement ORDER BY authority, overview, client, version DESC
), choice AS (
    SELECT authority, jsonb_array_elements(body) AS body
    FROM (SELECT DISTINCT ON (authority) authority, body FROM delimitation ORDER BY authority, version DESC) newest
), ended AS (
    SELECT DISTINCT ON (authority, system) authority, system, body, put_at
    FROM sender_agreement ORDER BY authority, system, version DESC
), turned (kind, authority, system, lane) AS (
    SELECT DISTINCT 'mark', authority, NULL::text, 0 FROM reader
    WHERE body ->> 'state' = 'FULL' AND (
        (body ->> 'from_date')::date > %(after)s AND (body ->> 'from_date')::date <= %(day)s
        OR (body ->> 'to_date')::date > %(after)s AND (body ->> 'to_date')::date <= %(day)s)
    UNION
    SELECT kind, authority, NULL, 0 FROM choice, unnest(ARRAY['mark', 'leave']) AS kind
    WHERE (body ->> 'effective_from')::date > %(after)s AND (body ->> 'effective_from')::date <= %(day)s
        OR (body ->> 'effective_to')::date > %(after)s AND (body ->> 'effective_to')::date <= %(day)s
    UNION
    SELECT 'end', authority, system, 1 FROM ended
    WHERE body ->> 'state' = 'ENDED'
        AND (put_at AT TIME ZONE 'UTC')::date + %(kept_days)s > %(after)s
        AND (put_at AT TIME ZONE 'UTC')::date + %(kept_days)s <= %(day)s
)
INSERT INTO sweep (kind, authority, system, lane) SELECT kind, authority, system, lane FROM turned
RETURNING kind, authority
