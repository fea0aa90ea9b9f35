-- The schema registry: what was deleted stays known, and rules per subject.

ALTER TABLE registry_version ADD COLUMN deleted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN registry_version.deleted IS 'out of sight, and still what framed values were written with';
CREATE INDEX registry_version_schema ON registry_version (schema_id);

CREATE TABLE registry_rule (
    subject text PRIMARY KEY,
    level   text,
    mode    text
);
COMMENT ON COLUMN registry_rule.subject IS 'empty: for every subject that has no rule of its own';
