-- How many a filter means, and of how many the event is kept.
SELECT count(*), count(payload)
FROM rejections_of(%(authorities)s, %(authority)s, %(system)s, %(code)s, %(pointer)s, %(state)s, %(since)s, %(until)s)
