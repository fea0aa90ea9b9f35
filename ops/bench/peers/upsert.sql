-- The newest registration wins.
INSERT INTO peer_case (
    authority, system, case_id, registered_at, user_key, title, kle, kle_title, state, citizen, hidden_from_citizen, link
)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (authority, system, case_id) DO UPDATE SET
    registered_at = excluded.registered_at,
    user_key = excluded.user_key,
    title = excluded.title,
    kle = excluded.kle,
    kle_title = excluded.kle_title,
    state = excluded.state,
    citizen = excluded.citizen,
    hidden_from_citizen = excluded.hidden_from_citizen,
    link = excluded.link
WHERE peer_case.registered_at < excluded.registered_at
