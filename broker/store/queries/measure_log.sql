-- How long the oldest row of the log has waited for the sealer, in seconds.
SELECT coalesce(extract(epoch FROM clock_timestamp() - (
        SELECT min(at) FROM access_log WHERE id = (SELECT min(id) FROM access_unsealed))), 0)::float8
