-- Registrations that are due, each held by one publisher.
SELECT kind, id, citizen_id, body, due_at, statement_timestamp()
FROM register
WHERE due_at <= statement_timestamp()
ORDER BY due_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
