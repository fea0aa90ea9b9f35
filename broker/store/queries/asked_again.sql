-- What has still to be asked of sources again.
SELECT authority, system, kle, reason, asked_at
FROM ask_again
WHERE closed_at IS NULL AND (%(authorities)s::text[] IS NULL OR authority = ANY(%(authorities)s::text[]))
ORDER BY authority, system, asked_at
