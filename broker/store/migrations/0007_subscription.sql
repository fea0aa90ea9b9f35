-- Whom a reader follows, and which entries the stream has shown.

CREATE TABLE subscription (
    subject   text NOT NULL,
    client    text NOT NULL,
    overview  text NOT NULL,
    version   uuid NOT NULL,
    citizens  text[] NOT NULL,
    purpose   text NOT NULL,
    effort_id uuid,
    until     timestamptz NOT NULL,
    PRIMARY KEY (subject, client, overview)
);
COMMENT ON COLUMN subscription.version IS 'another with every change: a stream that was opened under one ends with it';
CREATE INDEX subscription_until ON subscription (until);

CREATE TABLE subscription_shown (
    subject  text NOT NULL,
    client   text NOT NULL,
    overview text NOT NULL,
    entry    text COLLATE "C" NOT NULL,
    gone_at  bigint,
    PRIMARY KEY (subject, client, overview, entry),
    FOREIGN KEY (subject, client, overview) REFERENCES subscription ON DELETE CASCADE
);
COMMENT ON TABLE subscription_shown IS 'only who was shown an entry is told that it is gone: for others it never was';
COMMENT ON COLUMN subscription_shown.gone_at IS 'offset in the topic at which the reader was told; NULL: they hold it';
