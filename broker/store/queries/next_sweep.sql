-- The sweep whose turn it is: what hides goes first. Nothing is deleted while its authority still has entries to mark.
SELECT id, kind, authority, system, prefixes, lane, after_system, after_case::text
FROM sweep
WHERE kind = 'mark' OR NOT EXISTS (SELECT FROM sweep m WHERE m.kind = 'mark' AND m.authority = sweep.authority)
ORDER BY kind <> 'mark', lane, at, id
LIMIT 1
