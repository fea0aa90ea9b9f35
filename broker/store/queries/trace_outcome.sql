-- What was decided of the event at a place, when, and why it was refused if it was.
SELECT get_byte(o.verdicts, (%(log_offset)s - o.first_offset)::integer) AS verdict, o.at,
    r.rejection_id::text, r.pointer, r.state, r.closed_at
FROM (
    SELECT first_offset, next_offset, verdicts, at FROM outcome
    WHERE topic = %(topic)s AND partition = %(partition)s AND first_offset <= %(log_offset)s
    ORDER BY first_offset DESC
    LIMIT 1
) AS o
LEFT JOIN rejection r ON r.topic = %(topic)s AND r.partition = %(partition)s AND r.log_offset = %(log_offset)s
WHERE o.next_offset > %(log_offset)s
