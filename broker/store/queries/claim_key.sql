-- Claim a sender's key; nothing when another request has it, unless that one was lost.
INSERT INTO idempotency (system, subject, key, request, receipt_id)
VALUES (%(system)s, %(subject)s, %(key)s, %(request)s, %(receipt_id)s)
ON CONFLICT (system, subject, key) DO UPDATE
SET request = excluded.request, receipt_id = excluded.receipt_id, at = clock_timestamp()
WHERE idempotency.status IS NULL AND idempotency.at < clock_timestamp() - interval '2 minutes'
RETURNING receipt_id
