-- What stands of one id, and that the citizen's entries are due.
INSERT INTO register (kind, id, citizen_id, authorities, effort_id, representative_id, body, due_at)
VALUES (%(kind)s, %(id)s, %(citizen_id)s, %(authorities)s, %(effort_id)s, %(representative_id)s, %(body)s, clock_timestamp())
ON CONFLICT (kind, id) DO UPDATE
SET (effort_id, representative_id, body, due_at)
    = (excluded.effort_id, excluded.representative_id, excluded.body, excluded.due_at)
