-- Take the oldest rows of the log that wait for the sealer; only committed ones can be seen.
DELETE FROM access_unsealed
WHERE id IN (SELECT id FROM access_unsealed ORDER BY id LIMIT %(limit)s)
RETURNING id
