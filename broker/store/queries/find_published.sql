-- Which of these entries may have a value in which sparse overview topic.
SELECT p.overview, p.authority, p.system, p.case_id::text
FROM unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS asked(authority, system, case_id)
-- By the key, one at a time: however many are published, only these are looked at.
CROSS JOIN LATERAL (
    SELECT * FROM published
    WHERE authority = asked.authority AND system = asked.system AND case_id = asked.case_id
    OFFSET 0
) p
