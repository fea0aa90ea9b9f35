-- How long KLE says that cases of some numbers are kept, and until when that is for cases closed at some moments.
SELECT asked.ordinal, d.preservation, d.deletion,
    to_timestamp(asked.closed_at / 1000000.0) AS closed_at,
    CASE WHEN asked.closed_at IS NOT NULL
        THEN least(to_timestamp(asked.closed_at / 1000000.0) + d.deletion::interval, '9999-12-31 00:00Z') END AS delete_after
FROM unnest(%(numbers)s::text[], %(closed_at)s::bigint[]) WITH ORDINALITY AS asked (number, closed_at, ordinal)
JOIN kle_deletion d USING (number)
