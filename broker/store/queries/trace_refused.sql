-- Events of an id that the intake refused since a moment.
SELECT r.rejection_id::text, r.authority, r.system, r.event_id, r.code, r.pointer, r.state, r.at, r.closed_at,
    replace(r.trace_id::text, '-', '') AS trace_id, receipt.received_at
FROM rejection r LEFT JOIN receipt USING (receipt_id)
WHERE r.event_id = %(event_id)s AND r.topic IS NULL AND r.at >= %(since)s
ORDER BY r.at
LIMIT 100
