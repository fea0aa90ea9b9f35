-- What became of each event of one batch; read again from an earlier position, the newest reading counts.
INSERT INTO outcome (topic, partition, first_offset, next_offset, verdicts)
VALUES (%(topic)s, %(partition)s, %(first_offset)s, %(next_offset)s, %(verdicts)s)
ON CONFLICT (topic, partition, first_offset) DO UPDATE
    SET next_offset = excluded.next_offset, verdicts = excluded.verdicts, at = clock_timestamp()
