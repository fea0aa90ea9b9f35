-- The traces that rejected events of one partition came with.
UPDATE rejection r SET trace_id = said.trace_id
FROM unnest(%(offsets)s::bigint[], %(trace_ids)s::uuid[]) AS said (log_offset, trace_id)
WHERE r.topic = %(topic)s AND r.partition = %(partition)s AND r.log_offset = said.log_offset
