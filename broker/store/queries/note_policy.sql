-- The policy in force from now on, where it is not the one that was.
INSERT INTO policy_history (document)
SELECT %(document)s
WHERE %(document)s IS DISTINCT FROM (SELECT document FROM policy_history ORDER BY since DESC LIMIT 1)
