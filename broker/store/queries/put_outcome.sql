-- What became of each event of one batch.
INSERT INTO outcome (topic, partition, first_offset, next_offset, verdicts)
VALUES (%(topic)s, %(partition)s, %(first_offset)s, %(next_offset)s, %(verdicts)s)
