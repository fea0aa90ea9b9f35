-- Where a part of a run goes on, and up to where; locked, so that nobody else moves it meanwhile.
SELECT p.authority, p.system, p.case_id::text, p.until_authority, p.until_system, p.until_case_id::text, r.system
FROM rederivation_part p JOIN rederivation r ON r.id = p.rederivation
WHERE p.rederivation = %(run)s AND p.part = %(part)s AND NOT p.done
FOR UPDATE OF p
