-- How many rejections wait for their sender, and how many have come within the hour, whatever has become of them since.
SELECT system, code, sum(open)::float8, sum(come)::float8
FROM (
    SELECT system, code, count(*) AS open, 0 AS come FROM rejection WHERE state = 'open' GROUP BY system, code
    UNION ALL
    SELECT system, code, 0, count(*) FROM rejection
    WHERE at > statement_timestamp() - interval '1 hour' GROUP BY system, code
) AS counted
GROUP BY system, code
