-- How long the oldest change in the register of persons has waited to be published, in seconds.
SELECT coalesce(extract(epoch FROM statement_timestamp() - min(asked_at)), 0)::float8 FROM dirty WHERE lane = 0
