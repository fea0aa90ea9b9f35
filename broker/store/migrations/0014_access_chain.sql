-- The log of every read: found by reader, citizen, authority and hour; chained, signed, cut; watched.

ALTER TABLE access_log
    ADD COLUMN shown bytea[],
    ADD COLUMN authorities text[] NOT NULL DEFAULT '{}',
    ADD COLUMN citizen_visible_from timestamptz,
    ADD COLUMN reader_id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(reader ->> 'subject', '')) STORED,
    ADD COLUMN outside_hours boolean NOT NULL GENERATED ALWAYS AS (
        extract(isodow FROM at AT TIME ZONE 'Europe/Copenhagen') > 5
        OR extract(hour FROM at AT TIME ZONE 'Europe/Copenhagen') NOT BETWEEN 7 AND 17) STORED;
ALTER TABLE access_log
    ADD COLUMN authority text COLLATE "C" GENERATED ALWAYS AS (authorities[1]) STORED,
    ADD COLUMN authority_2 text COLLATE "C" GENERATED ALWAYS AS (authorities[2]) STORED;
COMMENT ON COLUMN access_log.authority IS 'most reads concern one authority, or two: what an auditor looks through is in order of time for each';
COMMENT ON COLUMN access_log.shown IS 'keyed hashes of other persons than the subject whose cases were shown';
COMMENT ON COLUMN access_log.authorities IS 'the reader''s, and those whose cases were shown';
COMMENT ON COLUMN access_log.citizen_visible_from IS 'NULL: from the beginning';
COMMENT ON COLUMN access_log.outside_hours IS 'not Monday to Friday between 7 and 18 by the Danish clock';
UPDATE access_log SET authorities = ARRAY(
    SELECT jsonb_array_elements_text(coalesce(reader -> 'authorities', '[]'))
    UNION
    SELECT split_part(shown_case, '/', 1) FROM unnest(cases) AS shown_case);
CREATE INDEX access_log_authority ON access_log (authority, at, id) INCLUDE (outside_hours, reader_id, subject);
CREATE INDEX access_log_authority_2 ON access_log (authority_2, at, id) INCLUDE (outside_hours, reader_id, subject)
    WHERE authority_2 IS NOT NULL;
CREATE INDEX access_log_reader ON access_log (reader_id, at);
-- Searches would read the list of what is pending, each anew.
CREATE INDEX access_log_shown ON access_log USING gin (shown) WITH (fastupdate = off) WHERE shown IS NOT NULL;
CREATE INDEX access_log_of_many ON access_log (at, id) WHERE cardinality(authorities) > 2;

CREATE TABLE access_unsealed (
    id bigint PRIMARY KEY
);
COMMENT ON TABLE access_unsealed IS 'rows of the log that wait for the sealer: written with them, so whoever sees one sees a committed row';
INSERT INTO access_unsealed SELECT id FROM access_log;

CREATE TABLE access_segment (
    number    bigint PRIMARY KEY,
    sealed_at timestamptz NOT NULL,
    rows      bytea NOT NULL,
    previous  bytea NOT NULL,
    head      bytea NOT NULL,
    key_id    text NOT NULL,
    signature bytea NOT NULL,
    anchored  boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN access_segment.rows IS 'for each row of the log its id in 8 bytes and the sha256 of its content';
COMMENT ON COLUMN access_segment.head IS 'sha256 over the number, the time, the previous head and rows';
CREATE INDEX access_segment_unanchored ON access_segment (number) WHERE NOT anchored;

CREATE TABLE access_cut (
    number    bigint PRIMARY KEY,
    cut_at    timestamptz NOT NULL,
    head      bytea NOT NULL,
    key_id    text NOT NULL,
    signature bytea NOT NULL
);
COMMENT ON TABLE access_cut IS 'up to and with which segment the log has been kept as long as was promised, and the head it ended in';

CREATE TABLE access_verified (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    at       timestamptz NOT NULL,
    number   bigint NOT NULL
);

CREATE TABLE access_watch (
    authority text NOT NULL,
    subject   bytea NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, subject)
);
COMMENT ON COLUMN access_watch.subject IS 'keyed hash of whom it raises an alarm to look up';

CREATE TABLE access_alarm (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    rule      text NOT NULL,
    reader_id text COLLATE "C" NOT NULL,
    access_id bigint NOT NULL,
    UNIQUE (access_id, rule)
);
CREATE INDEX access_alarm_reader ON access_alarm (reader_id, rule, at);

-- The second line: who reads the index for others does so as this role, and sees what the transaction says and no more.
DO $$
BEGIN
    CREATE ROLE sagsbro_reader NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- a role is the whole cluster's
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'sagsbro_reader', 'SET') THEN
        EXECUTE format('GRANT sagsbro_reader TO %I WITH SET TRUE', current_user);
    END IF;
END $$;
GRANT SELECT ON entry TO sagsbro_reader;
ALTER TABLE entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY entry_of_authority ON entry FOR SELECT TO sagsbro_reader
    USING (authority = ANY((SELECT nullif(current_setting('sagsbro.authorities', true), ''))::text[]));
CREATE POLICY entry_of_primary_party ON entry FOR SELECT TO sagsbro_reader
    USING (primary_party = ANY((SELECT nullif(current_setting('sagsbro.persons', true), ''))::text[]));
CREATE POLICY entry_of_party ON entry FOR SELECT TO sagsbro_reader
    USING (parties && (SELECT nullif(current_setting('sagsbro.parties', true), ''))::text[]);

-- Keys only, with the rights of the table's owner: an index on an array is not used from behind a policy.
CREATE FUNCTION entry_candidates(
    primary_parties text[], other_parties text[], wanted_key text,
    authorities text[], systems text[], case_ids uuid[]
)
    RETURNS TABLE (authority text, system text, case_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public ROWS 20
AS $$
    SELECT authority, system, case_id FROM public.entry WHERE primary_party = ANY(primary_parties)
    UNION
    SELECT authority, system, case_id FROM public.entry WHERE parties && other_parties
    UNION
    SELECT authority, system, case_id FROM public.entry WHERE user_key = wanted_key
    UNION
    SELECT authority, system, case_id
    FROM public.entry
    JOIN unnest(authorities, systems, case_ids) AS asked (authority, system, case_id)
        USING (authority, system, case_id)
$$;
REVOKE ALL ON FUNCTION entry_candidates FROM public;
GRANT EXECUTE ON FUNCTION entry_candidates TO sagsbro_reader;
