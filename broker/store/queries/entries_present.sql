-- Which of these keys are in the index.
SELECT entry.authority, entry.system, entry.case_id::text
FROM unnest(%s::text[], %s::text[], %s::text[]) AS asked (authority, system, case_id)
JOIN entry ON entry.authority = asked.authority AND entry.system = asked.system AND entry.case_id = asked.case_id::uuid
