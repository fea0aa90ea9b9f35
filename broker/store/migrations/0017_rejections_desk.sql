-- The rejections desk: who closed one and why, what is alike, and which vendors have been told of a day.

ALTER TABLE rejection
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN closed_by text,
    ADD COLUMN closed_because text;
COMMENT ON COLUMN rejection.closed_by IS 'NULL: it was closed before this was kept';
CREATE INDEX rejection_at ON rejection (at, rejection_id);
CREATE INDEX rejection_of_system ON rejection (system, at);

CREATE FUNCTION pointer_pattern(pointer text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(pointer, '/[0-9]+(?=/|$)', '/*', 'g');
COMMENT ON FUNCTION pointer_pattern IS 'the same place in every list: /parties/items/3/id is /parties/items/*/id';

CREATE FUNCTION rejections_of(
    of_authorities text[], of_authority text, of_system text, of_code text, of_pointer text, of_state text,
    since timestamptz, until timestamptz
) RETURNS SETOF rejection
    LANGUAGE sql STABLE
AS $$
    SELECT * FROM rejection
    WHERE (of_authorities IS NULL OR authority = ANY(of_authorities))
        AND (of_authority IS NULL OR authority = of_authority)
        AND (of_system IS NULL OR system = of_system)
        AND (of_code IS NULL OR code = of_code)
        AND (of_pointer IS NULL OR pointer_pattern(pointer) = pointer_pattern(of_pointer))
        AND (of_state IS NULL OR state = of_state)
        AND (since IS NULL OR at >= since)
        AND (until IS NULL OR at < until)
$$;
COMMENT ON FUNCTION rejections_of IS 'what a filter of the desk means, for every statement that has one; NULL is any';

CREATE TABLE rejection_telling (
    system   text NOT NULL,
    day      date NOT NULL,
    state    text NOT NULL CHECK (state IN ('underway', 'again', 'told', 'given_up')),
    attempts integer NOT NULL DEFAULT 1,
    next_at  timestamptz,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, day)
);
COMMENT ON TABLE rejection_telling IS 'days that a vendor''s webhook was told of; what is left underway by a crash may have arrived, and is not tried again';
