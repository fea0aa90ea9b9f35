-- A run has come to its end.
UPDATE rederivation SET finished_at = clock_timestamp(), behind = %(behind)s WHERE id = %(run)s
