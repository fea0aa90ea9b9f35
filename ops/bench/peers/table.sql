-- What every peer fills: one table with two secondary indexes, made anew for each run.
DROP TABLE IF EXISTS peer_case;
CREATE TABLE peer_case (
    authority           text COLLATE "C" NOT NULL,
    system              text COLLATE "C" NOT NULL,
    case_id             uuid NOT NULL,
    registered_at       bigint NOT NULL,
    user_key            text COLLATE "C" NOT NULL,
    title               text NOT NULL,
    kle                 text COLLATE "C" NOT NULL,
    kle_title           text NOT NULL,
    state               text NOT NULL,
    citizen             text COLLATE "C",
    hidden_from_citizen boolean NOT NULL,
    link                text,
    PRIMARY KEY (authority, system, case_id)
) WITH (fillfactor = 85);
CREATE INDEX peer_case_citizen ON peer_case (citizen);
CREATE INDEX peer_case_user_key ON peer_case (user_key);
