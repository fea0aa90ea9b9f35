-- Keep what was rejected, once: the id comes of where it stood.
INSERT INTO rejection (
    rejection_id, authority, system, event_id, code, pointer, detail, kle, payload, topic, partition, log_offset
)
VALUES (
    %(rejection_id)s, %(authority)s, %(system)s, %(event_id)s, %(code)s, %(pointer)s, %(detail)s, %(kle)s,
    %(payload)s, %(topic)s, %(partition)s, %(log_offset)s
)
ON CONFLICT (rejection_id) DO NOTHING
