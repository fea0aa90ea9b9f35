-- Where workers are in the log, and since when.
SELECT topic, partition, next_offset, at FROM position ORDER BY topic, partition LIMIT %(limit)s
