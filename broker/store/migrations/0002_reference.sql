-- Reference data: what may come in, who may read, what numbers mean. One revision for all of it.

CREATE TABLE reference_revision (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    revision bigint NOT NULL
);
INSERT INTO reference_revision (revision) VALUES (1);

CREATE TABLE authority (
    cvr  text PRIMARY KEY,
    body jsonb NOT NULL
);

CREATE TABLE sender_agreement (
    authority text NOT NULL,
    system    text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, system, version)
);

CREATE TABLE reader_agreement (
    authority text NOT NULL,
    overview  text NOT NULL,
    client    text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, overview, client, version)
);

CREATE TABLE delimitation (
    authority text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, version)
);
COMMENT ON COLUMN delimitation.body IS 'the whole list of the authority''s choices';

CREATE TABLE kle_edition (
    published   date PRIMARY KEY,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE kle_subject (
    published date NOT NULL REFERENCES kle_edition ON DELETE CASCADE,
    number    text NOT NULL,
    title     text NOT NULL,
    PRIMARY KEY (published, number)
);
