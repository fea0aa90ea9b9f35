-- Reading: keys, the log of every read, and the schema registry's store.

CREATE TABLE secret (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);
COMMENT ON TABLE secret IS 'keys made at first start: the development token issuer, the pepper of logged subjects';

CREATE TABLE access_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    reader    jsonb NOT NULL,
    overview  text NOT NULL,
    purpose   text,
    subject   bytea,
    decision  text NOT NULL CHECK (decision IN ('permit', 'deny')),
    basis     text,
    reason    text,
    cases     text[] NOT NULL
);
COMMENT ON COLUMN access_log.subject IS 'keyed hash of whom was asked about';
CREATE INDEX access_log_subject ON access_log (subject, at);

CREATE TABLE registry_schema (
    id     integer PRIMARY KEY,
    body   text NOT NULL,
    digest bytea NOT NULL UNIQUE
);

CREATE TABLE registry_version (
    subject   text NOT NULL,
    version   integer NOT NULL,
    schema_id integer NOT NULL REFERENCES registry_schema,
    PRIMARY KEY (subject, version)
);
