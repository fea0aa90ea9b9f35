-- Write down one read, permitted or denied.
INSERT INTO access_log (reader, overview, purpose, subject, decision, basis, reason, cases)
VALUES (%(reader)s::jsonb, %(overview)s, %(purpose)s, %(subject)s, %(decision)s, %(basis)s, %(reason)s, %(cases)s::text[])
