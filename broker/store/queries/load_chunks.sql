-- How far a load has come.
SELECT count(*), coalesce(sum(payloads), 0), coalesce(sum(sent), 0), coalesce(sum(delimited), 0),
    coalesce(sum(rejected), 0),
    (SELECT cursor FROM load_chunk AS last WHERE last.load = %(load)s ORDER BY chunk DESC LIMIT 1)
FROM load_chunk
WHERE load = %(load)s
