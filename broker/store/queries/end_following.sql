-- Nobody follows these citizens any more where they have died; where their number has changed, streams begin anew.
WITH named AS MATERIALIZED (
    SELECT array_agg(number) AS numbers FROM citizen_number WHERE citizen_id = ANY(%(citizens)s::uuid[])
), left_over AS (
    UPDATE subscription
    SET version = gen_random_uuid(),
        citizens = CASE WHEN %(died)s
            THEN ARRAY(SELECT unnest(citizens) EXCEPT SELECT unnest((SELECT numbers FROM named)))
            ELSE citizens END
    WHERE citizens && (SELECT numbers FROM named)
    RETURNING subject, client, overview, citizens
)
SELECT subject, client, overview FROM left_over WHERE citizens = '{}'
