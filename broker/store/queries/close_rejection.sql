-- Close an open rejection; the bytes of what nobody wants are not kept.
UPDATE rejection
SET state = %(state)s, payload = CASE WHEN %(state)s = 'discarded' THEN NULL ELSE payload END
WHERE rejection_id = %(rejection_id)s AND state = 'open'
