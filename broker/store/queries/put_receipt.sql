-- Keep the receipt of one request.
INSERT INTO receipt (receipt_id, system, subject, events, received_at, trace_id)
VALUES (%(receipt_id)s, %(system)s, %(subject)s, %(events)s, %(received_at)s, %(trace_id)s)
