-- From every movement since the beginning, so that it proves the closing balances that `customer_balances`
-- starts from. Calls are summed by customer before accounts are named: the same sums, a tenth of the work.
CREATE VIEW balances AS
WITH call_totals AS (
    SELECT customer_id, sum(owner_fee) AS fees
    FROM calls_rows
    WHERE outcome = 'rated' AND owner_fee > 0
    GROUP BY customer_id
),
-- only the lists that are needed: unnest reads all that it is given
posted AS (
    SELECT unnest(p_debit) AS debit, unnest(p_credit) AS credit, unnest(p_amount) AS amount
    FROM events_rows
    WHERE outcome = 'accepted'
),
legs AS (
    SELECT 'customer/' || customer_id || '/usage' AS account, -fees AS amount FROM call_totals
    UNION ALL
    SELECT 'platform/revenue/calls' AS account, fees AS amount FROM call_totals
    UNION ALL
    SELECT debit AS account, -amount AS amount FROM posted
    UNION ALL
    SELECT credit AS account, amount FROM posted
)
SELECT account, CAST(sum(amount) AS DECIMAL(18, 4)) AS balance
FROM legs
GROUP BY account;

COMMENT ON VIEW balances IS 'A row is a leaf account, summed from every movement. All of them together are zero (R-INV-2).';
COMMENT ON COLUMN balances.account IS 'Its path, such as customer/C1/cash.';
COMMENT ON COLUMN balances.balance IS 'What came to it less what left it, in yuan.';
