-- What a sender was refused since a moment: at intake, and in workers by place in the log.
SELECT event_id, code, pointer, topic IS NULL AS at_intake, partition, log_offset
FROM rejection
WHERE authority = %(authority)s AND system = %(system)s AND at >= %(since)s
ORDER BY at
