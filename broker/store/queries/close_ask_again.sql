-- A load or reconciliation that began then has answered what was asked before.
--
-- Asked for are the numbers that cases come to. prefixes: of the source's own numbers, of which it told everything; NULL:
-- of all. arriving: what its cases under other numbers may come to.
UPDATE ask_again SET closed_at = clock_timestamp(), closed_by = %(by)s
WHERE authority = %(authority)s AND system = %(system)s AND closed_at IS NULL AND asked_at <= %(began_at)s
    AND (%(prefixes)s::text[] IS NULL OR NOT EXISTS (
        SELECT FROM unnest(kle) AS asked (pattern), replace(rtrim(pattern, '*'), 'N', '') AS prefix
        WHERE NOT prefix ^@ ANY(%(prefixes)s::text[]) OR EXISTS (
            SELECT FROM unnest(%(arriving)s::text[]) AS arriving (number) WHERE number ^@ prefix)))
