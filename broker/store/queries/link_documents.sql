-- These cases are about to be published with these documents.
INSERT INTO document_link (authority, document_id, system, case_id)
SELECT * FROM unnest(%(authorities)s::text[], %(document_ids)s::uuid[], %(systems)s::text[], %(case_ids)s::uuid[])
ON CONFLICT DO NOTHING
