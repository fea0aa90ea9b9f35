-- Onboarding: what the way of an agreement asks for, what is done off the transaction of a change, and coverage.

ALTER TABLE sender_agreement ADD COLUMN put_as text;
ALTER TABLE reader_agreement ADD COLUMN put_as text;
COMMENT ON COLUMN sender_agreement.put_as IS 'municipality, operator or system; NULL: before it was noted';

CREATE TABLE citizen_view (
    authority text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, version)
);
COMMENT ON COLUMN citizen_view.body IS 'the whole list of the authority''s switches';

CREATE TABLE IF NOT EXISTS compliance_run (
    authority text NOT NULL,
    system    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    passed    boolean NOT NULL,
    report    jsonb NOT NULL
);
CREATE INDEX compliance_run_newest ON compliance_run (authority, system, at DESC);
COMMENT ON TABLE compliance_run IS 'COMPLIANT needs the newest one to be passed';

CREATE TABLE ask_again (
    authority text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,
    kle       text[] NOT NULL,
    reason    text NOT NULL,
    asked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    closed_by text
);
CREATE UNIQUE INDEX ask_again_open ON ask_again (authority, system, kle) WHERE closed_at IS NULL;
COMMENT ON TABLE ask_again IS 'what was outside was not kept: after a widening the source has to be asked again, under these KLE patterns';
COMMENT ON COLUMN ask_again.asked_at IS 'the last time it was widened: only a load that began later closes it';

CREATE TABLE sweep (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('mark', 'leave', 'end')),
    authority    text COLLATE "C" NOT NULL,
    system       text COLLATE "C",
    prefixes     text[],
    lane         smallint NOT NULL DEFAULT 1,
    after_system text COLLATE "C" NOT NULL DEFAULT '',
    after_case   uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    done         bigint NOT NULL DEFAULT 0,
    at           timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE sweep IS 'entries that a change has still to reach, slice by slice; a row goes with its last slice';
COMMENT ON COLUMN sweep.kind IS 'mark: publish anew; leave: delete what no longer is covered; end: delete all, the agreement has ended';
COMMENT ON COLUMN sweep.system IS 'NULL: every one; prefixes likewise';

CREATE TABLE clock (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    day      date NOT NULL
);
INSERT INTO clock (day) VALUES ((now() AT TIME ZONE 'UTC')::date);
COMMENT ON TABLE clock IS 'the last day (UTC) whose beginning has been acted on';

CREATE TABLE coverage_part (
    part             integer NOT NULL,
    authority        text COLLATE "C" NOT NULL,
    system           text COLLATE "C" NOT NULL,
    kle_area         text NOT NULL,
    entries          bigint NOT NULL,
    incomplete       bigint NOT NULL,
    last_received_at timestamptz NOT NULL,
    PRIMARY KEY (part, authority, system, kle_area)
);
COMMENT ON TABLE coverage_part IS 'entries counted part by part of the table''s pages, round and round';

CREATE TABLE coverage_entry (
    authority        text COLLATE "C" NOT NULL,
    system           text COLLATE "C" NOT NULL,
    kle_area         text NOT NULL,
    entries          bigint NOT NULL,
    incomplete       bigint NOT NULL,
    last_received_at timestamptz NOT NULL,
    PRIMARY KEY (authority, system, kle_area)
);
COMMENT ON TABLE coverage_entry IS 'the sums of the last whole round';

CREATE TABLE coverage_rejection (
    authority text NOT NULL,
    system    text NOT NULL,
    kle_area  text NOT NULL,
    open      bigint NOT NULL,
    PRIMARY KEY (authority, system, kle_area)
);

CREATE TABLE coverage_round (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    next_part  integer NOT NULL DEFAULT 0,
    began_at   timestamptz,
    counted_at timestamptz
);
INSERT INTO coverage_round DEFAULT VALUES;
COMMENT ON COLUMN coverage_round.counted_at IS 'when the last whole round began: what stood then has been counted';
