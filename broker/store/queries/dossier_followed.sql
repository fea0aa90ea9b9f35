-- Until when a citizen is followed.
SELECT until FROM subscription WHERE %(citizen)s = ANY(citizens) ORDER BY until
