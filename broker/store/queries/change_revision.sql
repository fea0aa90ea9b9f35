-- Wait in line until no batch is under way by the reference data of now; they are ours until the transaction ends.
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext('sagsbro-reference')))
SELECT r.revision FROM turn, reference_revision r FOR UPDATE OF r
