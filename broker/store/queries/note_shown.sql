-- The reader holds the entry, or was told at an offset that it is gone.
INSERT INTO subscription_shown (subject, client, overview, entry, gone_at)
VALUES (%(subject)s, %(client)s, %(overview)s, %(entry)s, %(gone_at)s)
ON CONFLICT (subject, client, overview, entry) DO UPDATE SET gone_at = excluded.gone_at
