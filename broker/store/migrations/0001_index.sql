-- The index, what has been read of the log, and what became of each event.

CREATE TABLE entry (
    authority     text COLLATE "C" NOT NULL,
    system        text COLLATE "C" NOT NULL,
    case_id       uuid NOT NULL,
    revision      bigint NOT NULL DEFAULT 1,
    newest        bytea NOT NULL,
    shape         smallint NOT NULL,
    complete      boolean NOT NULL,
    kle           text COLLATE "C",
    sensitivity   smallint NOT NULL,
    primary_party text COLLATE "C",
    parties       text[] COLLATE "C",
    principals    text[] COLLATE "C",
    user_key      text COLLATE "C",
    created_at    bigint,
    received_at   timestamptz NOT NULL,
    indexed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    document      bytea NOT NULL,
    PRIMARY KEY (authority, system, case_id)
) WITH (fillfactor = 85);
COMMENT ON COLUMN entry.newest IS 'stamp of the newest registration; sorts as bytes';
COMMENT ON COLUMN entry.shape IS 'one bit per group that is there; 512: several registrations; 1024: items or a removal lie over the groups';
COMMENT ON COLUMN entry.primary_party IS 'ID_TYPE:id of the first primary party';
COMMENT ON COLUMN entry.parties IS 'ROLE|ID_TYPE:id of every other party';
COMMENT ON COLUMN entry.principals IS 'who alone may see it, by its security profile; NULL: it has none';
COMMENT ON COLUMN entry.document IS 'all that is known, as it came or as a state with stamps: what is derived can be derived again';
CREATE INDEX entry_primary_party ON entry (primary_party) WHERE primary_party IS NOT NULL;
CREATE INDEX entry_parties ON entry USING gin (parties) WHERE parties IS NOT NULL;
CREATE INDEX entry_user_key ON entry (user_key) WHERE user_key IS NOT NULL;

CREATE TABLE dirty (
    authority text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,
    case_id   uuid NOT NULL,
    revision  bigint NOT NULL,
    lane      smallint NOT NULL DEFAULT 1,
    shard     smallint NOT NULL GENERATED ALWAYS AS (hashtext(case_id::text) & 3) STORED,
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, authority, system, case_id)
);
COMMENT ON TABLE dirty IS 'entries whose publication may be out of date; a row goes only if it is still the version that was evaluated';
COMMENT ON COLUMN dirty.lane IS '0: purge, goes first; 1: the rest';
CREATE INDEX dirty_purge ON dirty (shard) WHERE lane = 0;

CREATE TABLE position (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    cluster_id  text NOT NULL,
    topic_id    text NOT NULL,
    next_offset bigint NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition)
);

CREATE TABLE outcome (
    topic        text NOT NULL,
    partition    integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset  bigint NOT NULL,
    verdicts     bytea NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, first_offset)
);
CREATE INDEX outcome_at ON outcome USING brin (at);
COMMENT ON COLUMN outcome.verdicts IS 'one byte for each offset from first_offset on';

CREATE TABLE rejection (
    rejection_id uuid PRIMARY KEY,
    authority    text NOT NULL,
    system       text NOT NULL,
    event_id     text,
    code         text NOT NULL,
    pointer      text NOT NULL,
    detail       text NOT NULL,
    kle          text,
    payload      bytea,
    topic        text,
    partition    integer,
    log_offset   bigint,
    receipt_id   uuid,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz
);
COMMENT ON COLUMN rejection.payload IS 'the event as it came; only where an agreement covers it; 30 days';
CREATE INDEX rejection_with_bytes ON rejection (at) WHERE payload IS NOT NULL;
CREATE INDEX rejection_unpublished ON rejection (at) WHERE published_at IS NULL;
CREATE INDEX rejection_place ON rejection (topic, partition, log_offset) WHERE log_offset IS NOT NULL;
CREATE INDEX rejection_of_sender ON rejection (authority, system, at);
CREATE INDEX rejection_open ON rejection (system, code) WHERE state = 'open';

CREATE TABLE receipt (
    receipt_id uuid PRIMARY KEY,
    system     text NOT NULL,
    subject    text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    events     jsonb NOT NULL
);
COMMENT ON COLUMN receipt.events IS 'for each event its place in the log, or the verdict it met at intake';
CREATE INDEX receipt_at ON receipt (at);
