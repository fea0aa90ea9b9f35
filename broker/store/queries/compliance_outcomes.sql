-- The outcomes since a moment, by place in the log.
SELECT partition, first_offset, next_offset, verdicts
FROM outcome
WHERE topic = %(topic)s AND at >= %(since)s
ORDER BY partition, first_offset
