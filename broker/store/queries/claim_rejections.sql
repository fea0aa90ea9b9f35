-- Rejections that no topic has yet, oldest first.
SELECT rejection_id::text, authority, system, event_id, code, pointer, detail, payload, topic, partition, log_offset, at,
       replace(trace_id::text, '-', '')
FROM rejection
WHERE published_at IS NULL
ORDER BY at
LIMIT %(limit)s
