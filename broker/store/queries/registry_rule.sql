-- The rule of a subject itself, and the one for all.
SELECT
    (SELECT level FROM registry_rule WHERE subject = %(subject)s),
    (SELECT mode FROM registry_rule WHERE subject = %(subject)s),
    (SELECT level FROM registry_rule WHERE subject = ''),
    (SELECT mode FROM registry_rule WHERE subject = '')
