-- For which authorities a reader follows citizens: each answers for its own.

ALTER TABLE subscription ADD COLUMN authorities text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN subscription.authorities IS 'those of the reader''s token when it was put; none: put before this was kept';
