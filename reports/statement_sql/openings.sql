-- What stood on each leaf account before the month; usage is left out, for a close settles it (see closes.sql).
WITH legs AS (
    SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount
    FROM postings
    WHERE month < $month
)

SELECT account, CAST(sum(amount) * 10000 AS BIGINT) AS balance_hao
FROM legs
WHERE (starts_with(account, 'customer/') OR starts_with(account, 'provider/')) AND NOT ends_with(account, '/usage')
GROUP BY account
