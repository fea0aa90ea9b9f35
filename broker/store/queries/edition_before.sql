-- The KLE edition of a date, or else the one that was in force then.
SELECT published, number, title
FROM kle_subject
WHERE published = (SELECT max(published) FROM kle_edition WHERE published <= %(published)s)
