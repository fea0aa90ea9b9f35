-- The newest registration of each of these documents.
SELECT asked.ordinal, d.newest
FROM unnest(%(ordinals)s::integer[], %(authorities)s::text[], %(systems)s::text[], %(document_ids)s::uuid[])
    AS asked (ordinal, authority, system, document_id)
JOIN document d USING (authority, system, document_id)
