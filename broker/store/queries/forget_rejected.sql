-- Rejected events whose bytes may not be kept any more: under an agreement that has ended or is restricted none, under a
-- full one those outside its KLE patterns.
UPDATE rejection r SET payload = NULL
FROM (SELECT body FROM sender_agreement
      WHERE authority = %(authority)s AND system = %(system)s ORDER BY version DESC LIMIT 1) agreed
WHERE r.authority = %(authority)s AND r.system = %(system)s AND r.payload IS NOT NULL
    AND (agreed.body ->> 'state' <> 'FULL' OR NOT r.kle ^@ ANY(
        SELECT replace(rtrim(pattern, '*'), 'N', '') FROM jsonb_array_elements_text(agreed.body -> 'kle') AS pattern))
