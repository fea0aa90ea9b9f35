-- A person of that number, unless somebody else has just made them.
WITH made AS (
    INSERT INTO citizen DEFAULT VALUES RETURNING citizen_id
)
INSERT INTO citizen_number SELECT %(number)s, citizen_id FROM made
