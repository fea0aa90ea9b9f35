-- What has been kept as long as was promised: rejected bytes, receipts and first answers 30 days, outcomes and what is left
-- of rejections as long as the log, so many of those at once; subscriptions as long as they said.
WITH forgotten AS (
    UPDATE rejection SET payload = NULL
    WHERE payload IS NOT NULL AND at < statement_timestamp() - interval '30 days' RETURNING 1
), receipts AS (
    DELETE FROM receipt WHERE at < statement_timestamp() - interval '30 days' RETURNING 1
), answers AS (
    DELETE FROM idempotency WHERE at < statement_timestamp() - interval '30 days' RETURNING 1
), outcomes AS (
    DELETE FROM outcome WHERE at < statement_timestamp() - interval '35 days' RETURNING 1
), rejections AS (
    DELETE FROM rejection WHERE rejection_id = ANY(ARRAY(
        SELECT rejection_id FROM rejection
        WHERE at < statement_timestamp() - interval '35 days' AND payload IS NULL AND published_at IS NOT NULL
        ORDER BY at LIMIT 50000))
), subscriptions AS (
    DELETE FROM subscription WHERE until <= statement_timestamp()
)
SELECT (SELECT count(*) FROM forgotten), (SELECT count(*) FROM receipts), (SELECT count(*) FROM outcomes)
