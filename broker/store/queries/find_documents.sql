-- What has been registered of some documents, whoever sent it.
SELECT d.authority, d.document_id::text, d.system, d.newest, d.removed, d.sensitivity::integer, d.title, d.confidential_title,
    d.type, d.letter_date::text
FROM document d
JOIN unnest(%(authorities)s::text[], %(document_ids)s::uuid[]) AS asked (authority, document_id)
    USING (authority, document_id)
