-- Move on from the position this worker last read or wrote; no row when somebody else has moved it.
UPDATE position
SET next_offset = %(next_offset)s, at = clock_timestamp()
WHERE topic = %(topic)s AND partition = %(partition)s AND topic_id = %(topic_id)s AND next_offset = %(expected)s
