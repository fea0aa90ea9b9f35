-- How many rejections wait for their sender.
SELECT system, code, count(*)
FROM rejection
WHERE state = 'open'
GROUP BY system, code
