-- What each number is called: by the newest edition that knows it.
SELECT DISTINCT ON (number) number, title FROM kle_subject ORDER BY number, published DESC
