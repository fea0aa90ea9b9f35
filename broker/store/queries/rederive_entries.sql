-- The next entries of a part in key order, with everything that is derived.
SELECT authority, system, case_id::text, xmin::text, document, newest, shape & ~512, complete, kle, sensitivity, primary_party,
       parties, principals, user_key, created_at, received_at
FROM entry
WHERE (authority, system, case_id) > (%(authority)s, %(system)s, %(case_id)s::uuid)
  AND (authority, system, case_id) <= (%(until_authority)s, %(until_system)s, %(until_case_id)s::uuid)
  AND (%(only)s::text IS NULL OR system = %(only)s)
ORDER BY authority, system, case_id
LIMIT %(limit)s
