-- The next entries of a part in key order, as they would be copied in.
COPY (
    SELECT 0::integer, authority, system, case_id, newest, (shape & ~512)::smallint, complete, kle, sensitivity,
           primary_party, parties, principals, user_key, created_at, received_at, document
    FROM entry
    WHERE (authority, system, case_id) > (%(authority)s, %(system)s, %(case_id)s::uuid)
      AND (authority, system, case_id) <= (%(until_authority)s, %(until_system)s, %(until_case_id)s::uuid)
      AND (%(only)s::text IS NULL OR system = %(only)s)
    ORDER BY authority, system, case_id
    LIMIT %(limit)s
) TO STDOUT (FORMAT binary)
