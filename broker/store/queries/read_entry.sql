-- One entry as it stands.
SELECT authority, system, case_id::text, created_at, newest, received_at, indexed_at, document
FROM entry
WHERE authority = %(authority)s AND system = %(system)s AND case_id = %(case_id)s::uuid
  -- What is incomplete is shown to nobody; when it was made may be among what is missing.
  AND complete AND kle IS NOT NULL
