-- The person behind a number, held until the transaction ends.
SELECT c.citizen_id
FROM citizen_number n JOIN citizen c USING (citizen_id)
WHERE n.number = %(number)s
FOR UPDATE OF c
