-- Rejections that a filter means, the newest first, behind a place in that order, without their bytes.
SELECT rejection_id::text, authority, system, event_id, code, pointer, detail, kle, state, at,
       topic, partition, log_offset, receipt_id::text, octet_length(payload) AS payload_bytes,
       closed_at, closed_by, closed_because, replace(trace_id::text, '-', '') AS trace_id
FROM rejections_of(%(authorities)s, %(authority)s, %(system)s, %(code)s, %(pointer)s, %(state)s, %(since)s, %(until)s)
WHERE %(after_at)s::timestamptz IS NULL OR (at, rejection_id) < (%(after_at)s::timestamptz, %(after_id)s::uuid)
ORDER BY at DESC, rejection_id DESC
LIMIT %(limit)s
