-- Compare a manifest with the index: differences kept, counted by KLE area, digests of both sides noted.
--
-- Equal to `broker.domain.reconcile.compare`. A list of some areas is whole for the numbers that its source uses:
-- `source_number` has them where entries have others. shape: bits 0-8 the groups that stand, 8 the one that says it is replaced.
WITH listed AS (
    SELECT DISTINCT ON (case_id) case_id, registered_at, kle_area, expected
    FROM manifest_row
    WHERE manifest = %(manifest)s
    ORDER BY case_id, registered_at DESC
), here AS (
    SELECT case_id, received_at, shape & 511 <> 0 AS stands, shape & 8 <> 0 AS replaced,
        CASE WHEN source.case_id IS NULL THEN entry.kle ELSE source.kle END AS kle,
        (('x' || encode(substring(newest FROM 1 FOR 8), 'hex'))::bit(64) # (1::bigint << 63)::bit(64))::bigint
            AS registered_at
    FROM entry LEFT JOIN source_number AS source USING (case_id)
    WHERE authority = %(authority)s AND system = %(system)s
), compared AS MATERIALIZED (
    SELECT coalesce(listed.case_id, here.case_id) AS case_id,
        coalesce(listed.kle_area, left(here.kle, 2) || '.*', '-') AS kle_area,
        here.registered_at AS here, listed.registered_at AS there,
        CASE
            WHEN coalesce(here.stands, false) AND listed.case_id IS NULL THEN CASE
                WHEN here.replaced OR NOT (
                    %(areas)s::text[] IS NULL
                    OR EXISTS (SELECT FROM unnest(%(areas)s::text[]) AS area WHERE starts_with(here.kle, area))
                ) THEN NULL
                WHEN here.received_at > %(as_of)s OR here.registered_at > %(as_of_micros)s THEN 'newer'
                ELSE 'superfluous'
            END
            WHEN listed.case_id IS NULL THEN NULL
            WHEN coalesce(here.stands, false) THEN CASE
                WHEN here.registered_at > listed.registered_at THEN 'newer'
                WHEN here.registered_at < listed.registered_at THEN 'older'
                ELSE 'same'
            END
            WHEN NOT listed.expected THEN 'outside'
            WHEN here.registered_at > listed.registered_at THEN 'newer'
            ELSE 'missing'
        END AS kind,
        coalesce(here.stands, false) AS stands
    FROM listed
    FULL JOIN here ON here.case_id = listed.case_id
), kept AS (
    INSERT INTO reconciliation_difference (manifest, kind, case_id, kle_area, here, there)
    SELECT %(manifest)s, kind, case_id, kle_area, here, there
    FROM compared
    WHERE kind IN ('missing', 'superfluous', 'older', 'newer')
), counted AS (
    INSERT INTO reconciliation (
        manifest, authority, system, kle_area, at, missing, superfluous, older, newer, same, outside
    )
    SELECT %(manifest)s, %(authority)s, %(system)s, kle_area, clock_timestamp(),
        count(*) FILTER (WHERE kind = 'missing'), count(*) FILTER (WHERE kind = 'superfluous'),
        count(*) FILTER (WHERE kind = 'older'), count(*) FILTER (WHERE kind = 'newer'),
        count(*) FILTER (WHERE kind = 'same'), count(*) FILTER (WHERE kind = 'outside')
    FROM compared
    WHERE kind IS NOT NULL
    GROUP BY kle_area
), digests AS (
    SELECT
        coalesce(sum(('x' || left(md5(case_id || ' ' || here), 13))::bit(52)::bigint) FILTER (WHERE stands), 0)
            %% (1::bigint << 52) AS digest_here,
        coalesce(
            sum(('x' || left(md5(case_id || ' ' || there), 13))::bit(52)::bigint)
                FILTER (WHERE there IS NOT NULL AND kind <> 'outside'), 0
        ) %% (1::bigint << 52) AS digest_there
    FROM compared
    WHERE kind IS NOT NULL
)
UPDATE manifest
SET finished_at = clock_timestamp(), digest_here = digests.digest_here, digest_there = digests.digest_there
FROM digests
WHERE id = %(manifest)s
