-- Keep what the intake refused; without payload and detail where no agreement covers it.
INSERT INTO rejection (
    rejection_id, authority, system, event_id, code, pointer, detail, kle, payload, receipt_id, trace_id
)
VALUES (
    %(rejection_id)s, %(authority)s, %(system)s, %(event_id)s, %(code)s, %(pointer)s, %(detail)s, %(kle)s,
    %(payload)s, %(receipt_id)s, %(trace_id)s
)
ON CONFLICT (rejection_id) DO NOTHING
