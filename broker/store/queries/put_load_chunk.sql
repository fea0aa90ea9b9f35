-- A chunk whose events are all acknowledged.
INSERT INTO load_chunk (load, chunk, payloads, sent, delimited, rejected, areas, cursor)
VALUES (%(load)s, %(chunk)s, %(payloads)s, %(sent)s, %(delimited)s, %(rejected)s, %(areas)s, %(cursor)s)
