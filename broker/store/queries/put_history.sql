-- One registration as it came; the same sent twice is one.
INSERT INTO register_history (kind, id, registered_at, digest, body, put_by)
VALUES (%(kind)s, %(id)s, %(registered_at)s, sha256(convert_to(%(digest)s, 'UTF8')), %(body)s, %(put_by)s)
ON CONFLICT DO NOTHING
