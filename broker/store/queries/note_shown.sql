-- The reader holds the entries, or was told at an offset that one is gone.
INSERT INTO subscription_shown (subject, client, overview, entry, gone_at)
SELECT %(subject)s, %(client)s, %(overview)s, entry, gone_at
FROM unnest(%(entries)s::text[], %(gone_at)s::bigint[]) AS told(entry, gone_at)
ON CONFLICT (subject, client, overview, entry) DO UPDATE SET gone_at = excluded.gone_at
