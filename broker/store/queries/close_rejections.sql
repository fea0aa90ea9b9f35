-- Close open rejections; the bytes of what nobody wants are not kept.
UPDATE rejection
SET state = %(state)s, payload = CASE WHEN %(state)s = 'discarded' THEN NULL ELSE payload END,
    closed_at = clock_timestamp(), closed_by = %(by)s, closed_because = %(because)s
WHERE rejection_id = ANY(%(rejection_ids)s::uuid[]) AND state = 'open'
