-- Entries that a manifest does not name and whose number may be another than their source's own (a rule or a successor
-- mapped it, or nothing does any more), each with what is kept of it.
--
-- Where an event is kept as it came, what judging it added is one line of JSON before it; else the state is JSON.
SELECT case_id::text, document
FROM entry
WHERE authority = %(authority)s AND system = %(system)s AND shape & 511 <> 0 AND shape & 8 = 0
    AND NOT EXISTS (SELECT FROM manifest_row r WHERE r.manifest = %(manifest)s AND r.case_id = entry.case_id)
    AND (kle IS NULL OR CASE
        WHEN substring(document FROM 1 FOR 1) = '{'::bytea THEN position('"rule":null'::bytea IN document) = 0
        ELSE convert_from(substring(document FROM 1 FOR position('\x0a'::bytea IN document) - 1), 'UTF8')::json
            #>> '{2,2}' IS NOT NULL
    END)
