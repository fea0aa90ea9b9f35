-- A load or reconciliation that began then has answered what was asked before; kle: its patterns' prefixes, or NULL for all.
UPDATE ask_again SET closed_at = clock_timestamp(), closed_by = %(by)s
WHERE authority = %(authority)s AND system = %(system)s AND closed_at IS NULL AND asked_at <= %(began_at)s
    AND (%(prefixes)s::text[] IS NULL OR NOT EXISTS (
        SELECT FROM unnest(kle) AS asked (pattern)
        WHERE NOT replace(rtrim(pattern, '*'), 'N', '') ^@ ANY(%(prefixes)s::text[])))
