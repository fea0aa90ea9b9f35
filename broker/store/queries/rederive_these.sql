-- These entries in key order, as they would be copied in.
COPY (
    SELECT 0::integer, authority, system, case_id, newest, (shape & ~512)::smallint, complete, kle, sensitivity,
           primary_party, parties, principals, user_key, created_at, received_at, document
    FROM entry
    JOIN unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[]) AS k (authority, system, case_id)
        USING (authority, system, case_id)
    ORDER BY authority, system, case_id
) TO STDOUT (FORMAT binary)
