-- Where the chain ends: the newest segment, or the cut that left none.
SELECT number, head FROM (
    (SELECT number, head FROM access_segment ORDER BY number DESC LIMIT 1)
    UNION ALL
    (SELECT number, head FROM access_cut ORDER BY number DESC LIMIT 1)) AS ends
ORDER BY number DESC
LIMIT 1
