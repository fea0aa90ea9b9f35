-- Rejections of a sender, the newest first, without their bytes.
SELECT rejection_id::text, authority, system, event_id, code, pointer, detail, kle, state, at,
       topic, partition, log_offset, receipt_id::text, octet_length(payload) AS payload_bytes
FROM rejection
WHERE (%(authority)s::text IS NULL OR authority = %(authority)s)
  AND (%(system)s::text IS NULL OR system = %(system)s)
  AND (%(code)s::text IS NULL OR code = %(code)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY at DESC, rejection_id
LIMIT %(limit)s
