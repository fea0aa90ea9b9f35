-- Where a batch lands before it is merged; one pair for each session, empty after every commit.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ordinal       integer NOT NULL,
    authority     text COLLATE "C" NOT NULL,
    system        text COLLATE "C" NOT NULL,
    case_id       uuid NOT NULL,
    newest        bytea NOT NULL,
    shape         smallint NOT NULL,
    complete      boolean NOT NULL,
    kle           text,
    sensitivity   smallint NOT NULL,
    primary_party text,
    parties       text[],
    principals    text[],
    user_key      text,
    created_at    bigint,
    received_at   timestamptz NOT NULL,
    document      bytea NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS revised (LIKE incoming) ON COMMIT DELETE ROWS;
