-- Every event of a receipt with the byte of its outcome, and why the worker refused it; one row of nulls when it has none.
SELECT said.event, verdict.byte, why.body
FROM receipt
LEFT JOIN LATERAL jsonb_array_elements(receipt.events) WITH ORDINALITY AS said (event, place) ON true
LEFT JOIN LATERAL (
    SELECT get_byte(batch.verdicts, ((said.event ->> 'offset')::bigint - batch.first_offset)::integer) AS byte
    FROM (
        SELECT first_offset, next_offset, verdicts
        FROM outcome
        WHERE topic = coalesce(said.event ->> 'topic', %(topic)s)
            AND partition = (said.event ->> 'partition')::integer
            AND first_offset <= (said.event ->> 'offset')::bigint
        ORDER BY first_offset DESC
        LIMIT 1
    ) AS batch
    WHERE (said.event ->> 'offset')::bigint < batch.next_offset
) AS verdict ON true
LEFT JOIN LATERAL (
    SELECT jsonb_build_object('code', code, 'detail', detail, 'pointer', pointer) AS body
    FROM rejection
    WHERE verdict.byte >= %(rejected)s
        AND topic = coalesce(said.event ->> 'topic', %(topic)s)
        AND partition = (said.event ->> 'partition')::integer
        AND log_offset = (said.event ->> 'offset')::bigint
    LIMIT 1
) AS why ON true
WHERE receipt.receipt_id = %(receipt_id)s AND receipt.system = %(system)s AND receipt.subject = %(subject)s
    -- Receipts of before authorities stood in them are their owner's alone, as they were.
    AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(receipt.events) AS one (event)
        WHERE one.event ->> 'authority' <> ALL (%(authorities)s::text[])
    )
ORDER BY said.place
