-- Lists of the sender's earlier comparisons; their counts stay.
DELETE FROM reconciliation_difference
WHERE manifest IN (
    SELECT id FROM manifest WHERE authority = %(authority)s AND system = %(system)s AND id < %(manifest)s
)
