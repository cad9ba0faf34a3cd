-- R-INV-1: the rows of a table are numbered from 0 without a gap. In blocks, by how many there are and their sum.
WITH blocks AS (
    SELECT 'calls' AS log, seq // 10000 AS block, count(*) AS entries, sum(seq) AS total FROM calls_rows GROUP BY ALL
    UNION ALL
    SELECT 'events' AS log, seq // 10000 AS block, count(*) AS entries, sum(seq) AS total FROM events_rows GROUP BY ALL
),
expected AS (
    SELECT log, block, block * 10000 AS first, least(block * 10000 + 10000, size) - 1 AS last
    FROM (
        SELECT log, size, unnest(range(0, (size + 9999) // 10000)) AS block
        FROM (VALUES ('calls', calls_size()), ('events', events_size())) AS logs (log, size)
    )
)
SELECT
    coalesce(first, block * 10000) AS place,
    'rows ' || place || ' to ' || coalesce(last, place) || ' of ' || log AS named,
    'are ' || coalesce(entries, 0) || ' rows'
    || CASE WHEN entries = last - first + 1 THEN ', some of them twice' ELSE '' END AS says
FROM expected
FULL JOIN blocks USING (log, block)
WHERE entries IS DISTINCT FROM last - first + 1 OR total * 2 <> (first + last) * (last - first + 1)
