-- When a reader last came to follow fewer than before.

ALTER TABLE subscription ADD COLUMN narrowed_at timestamptz;
COMMENT ON COLUMN subscription.narrowed_at IS 'what was shown before is forgotten, and no stream goes on from before it; NULL: never';
