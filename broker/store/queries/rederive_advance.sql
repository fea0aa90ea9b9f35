-- A part has come so far, under this revision.
UPDATE rederivation_part SET
    authority = %(authority)s,
    system = %(system)s,
    case_id = %(case_id)s::uuid,
    seen = seen + %(seen)s,
    changed = changed + %(changed)s,
    unmapped = unmapped + %(unmapped)s,
    first_revision = coalesce(first_revision, %(revision)s),
    last_revision = %(revision)s,
    done = %(done)s
WHERE rederivation = %(run)s AND part = %(part)s
