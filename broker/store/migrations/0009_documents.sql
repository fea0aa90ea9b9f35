-- Documents as their senders registered them, and which cases have been published with them.

CREATE TABLE document (
    authority          text COLLATE "C" NOT NULL,
    document_id        uuid NOT NULL,
    system             text COLLATE "C" NOT NULL,
    revision           bigint NOT NULL DEFAULT 1,
    newest             bytea NOT NULL,
    removed            boolean NOT NULL,
    sensitivity        smallint NOT NULL,
    title              text,
    confidential_title text,
    type               text,
    letter_date        date,
    indexed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, document_id, system)
) WITH (fillfactor = 85);
COMMENT ON COLUMN document.newest IS 'stamp of the newest registration; sorts as bytes';
COMMENT ON COLUMN document.removed IS 'shown in no case; of what may not be held nothing but this is known';
COMMENT ON COLUMN document.sensitivity IS '1 to 4; 0: it says none, the case''s own counts';

CREATE TABLE document_link (
    authority   text COLLATE "C" NOT NULL,
    document_id uuid NOT NULL,
    system      text COLLATE "C" NOT NULL,
    case_id     uuid NOT NULL,
    PRIMARY KEY (authority, document_id, system, case_id)
);
COMMENT ON TABLE document_link IS 'written by the publisher before it reads the documents; system and case are the entry''s';

-- What is published already gets its links when it is published again.
INSERT INTO dirty (authority, system, case_id, revision)
SELECT authority, system, case_id, revision FROM entry WHERE complete
ON CONFLICT DO NOTHING;
