-- The content of some rows of the log, in the order and form in which it is hashed; times in microseconds since 1970.
SELECT id, (extract(epoch FROM at) * 1000000)::bigint, reader, overview, purpose, encode(subject, 'hex'),
    ARRAY(SELECT encode(person, 'hex') FROM unnest(shown) WITH ORDINALITY AS one(person, place) ORDER BY place),
    authorities, decision, basis, reason, cases, (extract(epoch FROM citizen_visible_from) * 1000000)::bigint
FROM access_log
WHERE id = ANY(%(ids)s::bigint[])
