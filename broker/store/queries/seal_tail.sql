-- The unsealed tail of the log: how many rows wait, since when, and which of them are not there any more.
SELECT count(l.id), min(l.at), coalesce(array_agg(u.id) FILTER (WHERE l.id IS NULL), '{}')
FROM access_unsealed u LEFT JOIN access_log l USING (id)
