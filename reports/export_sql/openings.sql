-- What stood on each leaf account of the balance sheet before the month; income and expenses begin each month anew.
WITH legs AS (
    SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount
    FROM postings
    WHERE month < $month
    UNION ALL
    SELECT 'customer/' || customer_id || '/usage' AS account, -sum(owner_fee) AS amount
    FROM calls
    WHERE month < $month AND billed_month < $month
    GROUP BY customer_id
)

SELECT account, CAST(sum(amount) * 10000 AS BIGINT) AS balance_hao
FROM legs
WHERE NOT starts_with(account, 'platform/revenue/') AND NOT starts_with(account, 'platform/expense/')
GROUP BY account
HAVING sum(amount) <> 0
ORDER BY account
