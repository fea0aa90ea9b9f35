-- Runs of `sagsbro rederive`, and how far each part of the index has come in them.

CREATE TABLE rederivation (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    authority   text COLLATE "C",
    system      text COLLATE "C",
    rate        integer,
    entries     bigint NOT NULL,
    pass        integer NOT NULL DEFAULT 1,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    behind      boolean
);
COMMENT ON COLUMN rederivation.authority IS 'the scope: NULL is every one';
COMMENT ON COLUMN rederivation.entries IS 'how many there were in the scope when it began';
COMMENT ON COLUMN rederivation.pass IS 'it goes round again when reference data changed on the way';
COMMENT ON COLUMN rederivation.behind IS 'reference data changed in every pass';
CREATE UNIQUE INDEX rederivation_unfinished ON rederivation (authority, system) NULLS NOT DISTINCT
    WHERE finished_at IS NULL;

CREATE TABLE rederivation_part (
    rederivation    bigint NOT NULL REFERENCES rederivation ON DELETE CASCADE,
    part            integer NOT NULL,
    from_authority  text COLLATE "C" NOT NULL,
    from_system     text COLLATE "C" NOT NULL,
    from_case_id    uuid NOT NULL,
    authority       text COLLATE "C" NOT NULL,
    system          text COLLATE "C" NOT NULL,
    case_id         uuid NOT NULL,
    until_authority text COLLATE "C" NOT NULL,
    until_system    text COLLATE "C" NOT NULL,
    until_case_id   uuid NOT NULL,
    seen            bigint NOT NULL DEFAULT 0,
    changed         bigint NOT NULL DEFAULT 0,
    unmapped        bigint NOT NULL DEFAULT 0,
    first_revision  bigint,
    last_revision   bigint,
    done            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (rederivation, part)
);
COMMENT ON TABLE rederivation_part IS 'keys after from, up to and with until; authority, system and case_id are the last one done';
COMMENT ON COLUMN rederivation_part.seen IS 'in this pass, like unmapped and the revisions; changed is of all passes';
