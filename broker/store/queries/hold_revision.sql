-- The revision of the reference data, held as it is until the transaction ends.
--
-- Row locks alone would let workers that follow each other closely starve a change: its wait in the advisory lock's
-- queue is fair. The queue comes first: the join hands the row over for locking only once the turn has come.
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(hashtext('sagsbro-reference')))
SELECT r.revision FROM turn, reference_revision r FOR SHARE OF r
