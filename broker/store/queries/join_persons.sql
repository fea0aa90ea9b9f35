-- Two that turn out to be one: everything of the other is the one's.
WITH numbers AS (
    UPDATE citizen_number SET citizen_id = %(one)s WHERE citizen_id = %(other)s
), theirs AS (
    UPDATE register
    SET citizen_id = CASE WHEN citizen_id = %(other)s THEN %(one)s::uuid ELSE citizen_id END,
        representative_id = CASE WHEN representative_id = %(other)s THEN %(one)s::uuid ELSE representative_id END
    WHERE citizen_id = %(other)s OR representative_id = %(other)s
)
UPDATE break_glass SET citizen_id = %(one)s WHERE citizen_id = %(other)s
