-- Of the edition in force on a day (of the first, where there is none yet) the numbers that may be announced to be gone.
WITH in_force AS (
    SELECT published FROM kle_edition ORDER BY published > %(on)s::date, abs(published - %(on)s::date) LIMIT 1
)
SELECT published, number, title, retired
FROM kle_subject JOIN in_force USING (published)
WHERE retired > %(on)s::date OR retired IS NULL AND title ILIKE '%%[udgår%%'
