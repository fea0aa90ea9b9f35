-- Follow nothing more, in one overview or in all; what was shown is forgotten with it.
DELETE FROM subscription
WHERE subject = %(subject)s AND client = %(client)s AND (%(overview)s::text IS NULL OR overview = %(overview)s)
