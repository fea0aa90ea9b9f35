-- How fresh each source is, kept beside the index so that a reader is told without a look at any entry.

CREATE TABLE source_freshness (
    authority          text COLLATE "C" NOT NULL,
    system             text COLLATE "C" NOT NULL,
    partition          integer NOT NULL,
    last_registered_at bigint NOT NULL,
    last_received_at   timestamptz NOT NULL,
    PRIMARY KEY (authority, system, partition)
);
COMMENT ON COLUMN source_freshness.partition IS 'each writer has rows of its own, so that none waits for another';
COMMENT ON COLUMN source_freshness.last_registered_at IS 'microseconds since 1970, UTC, by the source''s clock';
