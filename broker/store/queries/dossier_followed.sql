-- Until when a citizen is followed.
SELECT until FROM subscription WHERE citizens && %(numbers)s::text[] ORDER BY until
