-- Open rejections of these authorities by one code and the systems of one kind, the newest first; nothing of the event.
SELECT rejection_id::text, authority, system, pointer, kle, at
FROM rejection
WHERE state = 'open' AND authority = ANY(%(authorities)s::text[]) AND code = %(code)s
    AND CASE WHEN %(system)s::text = 'unknown' THEN NOT split_part(system, ':', 1) = ANY(%(systems)s::text[])
        ELSE split_part(system, ':', 1) = %(system)s END
ORDER BY at DESC, rejection_id
LIMIT %(limit)s
