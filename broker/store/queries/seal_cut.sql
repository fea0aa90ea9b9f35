-- Forget a prefix of the chain with its rows, and say so under the key.
WITH rows AS (
    DELETE FROM access_log WHERE id = ANY(%(ids)s::bigint[])
), segments AS (
    DELETE FROM access_segment WHERE number <= %(number)s
)
INSERT INTO access_cut (number, cut_at, head, key_id, signature)
VALUES (%(number)s, to_timestamp(0) + %(cut_at)s * interval '1 microsecond', %(head)s, %(key_id)s, %(signature)s)
