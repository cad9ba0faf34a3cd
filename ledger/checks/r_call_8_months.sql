-- R-CALL-8: a call belongs to the Shanghai month of its start; a reject to that of its arrival.
WITH months AS (
    SELECT
        month,
        TRY_CAST(month || '-01' AS DATE) AS first_day,
        timezone('Asia/Shanghai', CAST(first_day AS TIMESTAMP)) AS from_at,
        timezone('Asia/Shanghai', CAST(first_day + INTERVAL 1 MONTH AS TIMESTAMP)) AS until_at
    FROM (SELECT DISTINCT month FROM calls_rows)
)
SELECT
    c.seq AS place,
    'row ' || c.seq || ' of calls' AS named,
    'is kept under ' || coalesce(c.month, 'no month') || ' and is of '
    || CASE WHEN c.outcome = 'rejected' THEN c.received_at ELSE c.start_at END AS says
FROM calls_rows AS c
LEFT JOIN months AS m ON m.month = c.month
WHERE coalesce(
    CASE WHEN c.outcome = 'rejected' THEN c.received_at ELSE c.start_at END < m.from_at
    OR CASE WHEN c.outcome = 'rejected' THEN c.received_at ELSE c.start_at END >= m.until_at,
    true
)
