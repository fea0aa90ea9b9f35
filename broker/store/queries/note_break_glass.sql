-- A read without the consent that was missing, for each authority whose cases were shown.
INSERT INTO break_glass (authority, overview, reader, citizen_id, effort_id, basis, reason, cases)
SELECT split_part(case_key, '/', 1), %(overview)s, %(reader)s,
    (SELECT citizen_id FROM citizen_number WHERE number = ANY(%(numbers)s::text[]) LIMIT 1),
    %(effort)s, %(basis)s, %(reason)s, array_agg(case_key)
FROM unnest(%(cases)s::text[]) AS case_key
GROUP BY 1
