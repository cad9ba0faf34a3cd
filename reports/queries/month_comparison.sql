-- Month comparison
-- Revenue by kind of two months side by side, with the difference.
-- $month: the billed month, such as 2026-10
-- $with: the month that it is compared with, such as 2026-09
WITH revenue AS (
    SELECT billed_month AS month, 'call' AS kind, owner_fee AS amount
    FROM calls
    WHERE billed_month IN ($month, $with) AND month <= greatest($month, $with)
    UNION ALL
    SELECT month, kind, amount FROM postings
    WHERE month IN ($month, $with)
        AND starts_with(credit, 'platform/revenue/') AND NOT starts_with(debit, 'platform/revenue/')
    UNION ALL
    SELECT month, kind, -amount FROM postings
    WHERE month IN ($month, $with)
        AND starts_with(debit, 'platform/revenue/') AND NOT starts_with(credit, 'platform/revenue/')
),
sums AS (
    SELECT
        kind,
        sum(amount) FILTER (WHERE month = $month) AS this_month,
        sum(amount) FILTER (WHERE month = $with) AS that_month
    FROM revenue
    GROUP BY ROLLUP (kind)
)
SELECT
    coalesce(kind, 'total') AS kind,
    CAST(coalesce(this_month, 0) AS DECIMAL(18, 4)) AS this_month_yuan,
    CAST(coalesce(that_month, 0) AS DECIMAL(18, 4)) AS that_month_yuan,
    CAST(coalesce(this_month, 0) - coalesce(that_month, 0) AS DECIMAL(18, 4)) AS more_yuan
FROM sums
ORDER BY kind IS NULL, kind
