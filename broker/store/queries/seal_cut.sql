-- Forget a prefix of the chain with its rows and their alarms, and say so under the key; an earlier cut is covered by this one.
WITH rows AS (
    DELETE FROM access_log WHERE id = ANY(%(ids)s::bigint[])
), alarms AS (
    DELETE FROM access_alarm WHERE access_id = ANY(%(ids)s::bigint[])
), segments AS (
    DELETE FROM access_segment WHERE number <= %(number)s
), earlier AS (
    DELETE FROM access_cut
)
INSERT INTO access_cut (number, cut_at, head, key_id, signature)
VALUES (%(number)s, to_timestamp(0) + %(cut_at)s * interval '1 microsecond', %(head)s, %(key_id)s, %(signature)s)
