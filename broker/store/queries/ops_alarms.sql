-- Alarms that reads have raised within a day and a week, of so many newest; not whose.
SELECT rule, count(*) FILTER (WHERE at > now() - interval '1 day') AS day, count(*) AS week, max(at) AS newest_at
FROM (SELECT rule, at FROM access_alarm ORDER BY id DESC LIMIT %(limit)s) AS looked_at
WHERE at > now() - interval '7 days'
GROUP BY rule
ORDER BY rule
