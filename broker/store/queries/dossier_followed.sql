-- Until when employees of an authority follow a citizen.
SELECT until FROM subscription WHERE citizens && %(numbers)s::text[] AND %(authority)s = ANY(authorities) ORDER BY until
