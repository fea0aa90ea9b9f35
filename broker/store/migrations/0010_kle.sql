-- KLE as its official forms say it, facets, authorities' own numbers, mapping rules, and checks of code lists.

ALTER TABLE kle_subject ADD COLUMN retired date;
COMMENT ON COLUMN kle_subject.retired IS 'the first day on which it is gone, where the edition says so itself';

CREATE TABLE kle_successor (
    published date NOT NULL REFERENCES kle_edition ON DELETE CASCADE,
    number    text NOT NULL,
    successor text NOT NULL,
    PRIMARY KEY (published, number, successor)
);
COMMENT ON COLUMN kle_successor.successor IS 'a subject; or a group, when a whole one has taken the number''s place';

CREATE TABLE kle_facet_list (
    published   date PRIMARY KEY,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE kle_facet (
    published date NOT NULL REFERENCES kle_facet_list ON DELETE CASCADE,
    number    text NOT NULL,
    title     text NOT NULL,
    retired   date,
    PRIMARY KEY (published, number)
);

CREATE VIEW kle_editions AS
SELECT e.published, json_build_object(
    'published', e.published,
    'titles', (SELECT json_object_agg(number, title) FROM kle_subject s WHERE s.published = e.published),
    'retired', (SELECT json_object_agg(number, retired) FROM kle_subject s
                WHERE s.published = e.published AND retired IS NOT NULL),
    'successors', (SELECT json_object_agg(number, successors)
                   FROM (SELECT number, json_agg(successor) AS successors FROM kle_successor s
                         WHERE s.published = e.published GROUP BY number) replaced)
) AS body
FROM kle_edition e;

CREATE VIEW kle_facet_lists AS
SELECT l.published, json_build_object(
    'published', l.published,
    'titles', (SELECT json_object_agg(number, title) FROM kle_facet f WHERE f.published = l.published),
    'retired', (SELECT json_object_agg(number, retired) FROM kle_facet f
                WHERE f.published = l.published AND retired IS NOT NULL)
) AS body
FROM kle_facet_list l;

CREATE TABLE kle_local (
    authority text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, version)
);
COMMENT ON COLUMN kle_local.body IS 'the whole list of the authority''s own numbers';

CREATE TABLE kle_rules (
    authority text NOT NULL,
    system    text NOT NULL,
    version   integer NOT NULL,
    body      jsonb NOT NULL,
    put_by    text NOT NULL,
    put_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, system, version)
);
COMMENT ON TABLE kle_rules IS 'mapping rules; authority and system may be *: any';
COMMENT ON COLUMN kle_rules.body IS 'the whole set of the authority and system';

CREATE TABLE kle_rules_owed (
    authority text NOT NULL,
    system    text NOT NULL,
    since     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (authority, system)
);
COMMENT ON TABLE kle_rules_owed IS 'sets that were put, and by which the index has not been derived anew yet';

CREATE TABLE kle_check (
    authority text NOT NULL,
    system    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    codes     integer NOT NULL,
    unmapped  integer NOT NULL,
    revision  bigint NOT NULL,
    PRIMARY KEY (authority, system, at)
);
COMMENT ON TABLE kle_check IS 'reviews of the codes that an authority uses in a system: how many there are, how many map to nothing';
COMMENT ON COLUMN kle_check.revision IS 'of the reference data by which they were mapped';
