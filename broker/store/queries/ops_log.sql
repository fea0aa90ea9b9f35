-- How long the oldest row of the log of reads has waited for the sealer, and when the last whole count of the index began.
SELECT (SELECT min(at) FROM access_log WHERE id = (SELECT min(id) FROM access_unsealed)) AS unsealed_since,
    (SELECT counted_at FROM coverage_round) AS counted_at
