-- What is alike among the rejections that a filter means, the most frequent first.
SELECT code, pointer_pattern(pointer) AS pointer, system, authority, count(*) AS rejections, count(payload) AS with_event,
       min(at) AS first_at, max(at) AS last_at
FROM rejections_of(%(authorities)s, %(authority)s, %(system)s, %(code)s, %(pointer)s, %(state)s, %(since)s, %(until)s)
GROUP BY code, pointer_pattern(pointer), system, authority
ORDER BY rejections DESC, system, authority, code, pointer
LIMIT %(limit)s
