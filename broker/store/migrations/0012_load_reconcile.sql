-- Full loads and how far each has come; manifests of sources, and what comparing them with the index has found.

CREATE TABLE load_run (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    authority   text COLLATE "C" NOT NULL,
    system      text COLLATE "C" NOT NULL,
    source      bytea NOT NULL,
    chunk_size  integer NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);
COMMENT ON COLUMN load_run.source IS 'digest of the files, or of the address that is asked: the same command goes on where it was';
CREATE UNIQUE INDEX load_run_unfinished ON load_run (authority, system, source) WHERE finished_at IS NULL;
CREATE INDEX load_run_of_sender ON load_run (authority, system, started_at);

CREATE TABLE load_chunk (
    load      bigint NOT NULL REFERENCES load_run ON DELETE CASCADE,
    chunk     integer NOT NULL,
    payloads  integer NOT NULL,
    sent      integer NOT NULL,
    delimited integer NOT NULL,
    rejected  integer NOT NULL,
    areas     jsonb NOT NULL,
    cursor    jsonb,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (load, chunk)
);
COMMENT ON TABLE load_chunk IS 'a row is written when all of the chunk is acknowledged; what was sent without one is sent again';
COMMENT ON COLUMN load_chunk.areas IS 'KLE main group as its sender calls it -> events sent';
COMMENT ON COLUMN load_chunk.cursor IS 'of a source that is asked: where it continues';

CREATE TABLE manifest (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    authority    text COLLATE "C" NOT NULL,
    system       text COLLATE "C" NOT NULL,
    as_of        timestamptz NOT NULL,
    areas        text[],
    begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at  timestamptz,
    digest_here  bigint,
    digest_there bigint
);
COMMENT ON COLUMN manifest.as_of IS 'when the source began to read its list, by its own clock';
COMMENT ON COLUMN manifest.areas IS 'prefixes of the KLE numbers that the list speaks of; NULL: all';
COMMENT ON COLUMN manifest.digest_here IS 'sum of the first 52 bits of md5(case_id registered_at), modulo 2^52';
CREATE INDEX manifest_of_sender ON manifest (authority, system, finished_at);

CREATE UNLOGGED TABLE manifest_row (
    manifest      bigint NOT NULL,
    case_id       uuid NOT NULL,
    registered_at bigint NOT NULL,
    kle_area      text COLLATE "C" NOT NULL,
    expected      boolean NOT NULL
);
COMMENT ON TABLE manifest_row IS 'only while a manifest is compared';
CREATE INDEX manifest_row_of ON manifest_row (manifest);

CREATE TABLE reconciliation (
    manifest    bigint NOT NULL REFERENCES manifest ON DELETE CASCADE,
    authority   text COLLATE "C" NOT NULL,
    system      text COLLATE "C" NOT NULL,
    kle_area    text COLLATE "C" NOT NULL,
    at          timestamptz NOT NULL,
    missing     integer NOT NULL,
    superfluous integer NOT NULL,
    older       integer NOT NULL,
    newer       integer NOT NULL,
    same        integer NOT NULL,
    outside     integer NOT NULL,
    PRIMARY KEY (manifest, kle_area)
);
COMMENT ON COLUMN reconciliation.kle_area IS 'a main group such as 27.*; - where none is known';
COMMENT ON COLUMN reconciliation.outside IS 'listed by the source, and not to be in the index by agreement or delimitation';
CREATE INDEX reconciliation_of_sender ON reconciliation (authority, system, kle_area, at);

CREATE TABLE reconciliation_difference (
    manifest bigint NOT NULL REFERENCES manifest ON DELETE CASCADE,
    kind     text COLLATE "C" NOT NULL,
    case_id  uuid NOT NULL,
    kle_area text COLLATE "C" NOT NULL,
    here     bigint,
    there    bigint,
    PRIMARY KEY (manifest, kind, case_id)
);
COMMENT ON TABLE reconciliation_difference IS 'of the newest comparison of each sender; here and there: microseconds since 1970, UTC';

CREATE TABLE compliance_start (
    authority text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, system, at)
);
COMMENT ON TABLE compliance_start IS 'what a sender sends from then on is judged';

CREATE TABLE IF NOT EXISTS compliance_run (
    authority text,
    system    text,
    at        timestamptz,
    passed    boolean,
    report    jsonb
);
