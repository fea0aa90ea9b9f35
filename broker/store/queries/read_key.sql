-- What became of a sender's key.
SELECT request, status, answer
FROM idempotency
WHERE system = %(system)s AND subject = %(subject)s AND key = %(key)s
