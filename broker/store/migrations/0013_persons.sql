-- The register of persons: consents, objections, powers, efforts, what became of them; and what follows from it.

CREATE TABLE citizen (
    citizen_id uuid PRIMARY KEY DEFAULT gen_random_uuid()
);
COMMENT ON COLUMN citizen.citizen_id IS 'random: what a person is called where a civil registration number may not stand';

CREATE TABLE citizen_number (
    number     text COLLATE "C" PRIMARY KEY,
    citizen_id uuid NOT NULL REFERENCES citizen
);
COMMENT ON TABLE citizen_number IS 'every civil registration number a person has had';
CREATE INDEX citizen_number_citizen ON citizen_number (citizen_id);

CREATE TABLE register (
    kind              text NOT NULL,
    id                uuid NOT NULL,
    citizen_id        uuid NOT NULL REFERENCES citizen,
    authorities       text[] NOT NULL,
    effort_id         uuid,
    representative_id uuid REFERENCES citizen,
    body              jsonb NOT NULL,
    due_at            timestamptz,
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE register IS 'what stands of each id, folded from its history';
COMMENT ON COLUMN register.authorities IS 'who may change it, besides the citizen';
COMMENT ON COLUMN register.due_at IS 'when the citizen''s entries are to be published anew: once after each change, and whenever the clock alone changes what it means';
CREATE INDEX register_citizen ON register (citizen_id);
CREATE INDEX register_representative ON register (representative_id) WHERE representative_id IS NOT NULL;
CREATE INDEX register_due ON register (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE register_history (
    kind          text NOT NULL,
    id            uuid NOT NULL,
    registered_at timestamptz NOT NULL,
    digest        bytea NOT NULL,
    body          jsonb NOT NULL,
    put_by        text NOT NULL,
    put_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, id, registered_at, digest)
);
COMMENT ON TABLE register_history IS 'every registration as it came, whatever the order';

ALTER TABLE dirty ADD COLUMN asked_at timestamptz;
COMMENT ON COLUMN dirty.asked_at IS 'since when a change in the register of persons waits to be published';

CREATE TABLE published (
    overview  text NOT NULL,
    authority text COLLATE "C" NOT NULL,
    system    text COLLATE "C" NOT NULL,
    case_id   uuid NOT NULL,
    PRIMARY KEY (authority, system, case_id, overview)
);
COMMENT ON TABLE published IS 'what may have a value in a sparse overview topic; written before the topic is';

CREATE TABLE break_glass (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    authority  text NOT NULL,
    overview   text NOT NULL,
    reader     jsonb NOT NULL,
    citizen_id uuid NOT NULL,
    effort_id  text,
    basis      text NOT NULL,
    reason     text NOT NULL,
    cases      text[] NOT NULL,
    reviewed_at timestamptz
);
COMMENT ON TABLE break_glass IS 'the queue of each authority''s data-protection officer: reads without the consent that was missing';
CREATE INDEX break_glass_waiting ON break_glass (authority, at) WHERE reviewed_at IS NULL;
