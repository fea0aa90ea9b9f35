-- What one reader follows now, in one overview or in all.
SELECT overview, citizens, purpose, effort_id, until, version, narrowed_at
FROM subscription
WHERE subject = %(subject)s AND client = %(client)s AND until > statement_timestamp()
  AND (%(overview)s::text IS NULL OR overview = %(overview)s)
ORDER BY overview
