-- Customers about to run dry
-- Whose balance does not last, if they go on calling as in the last 30 days.
-- $days = 30: how many days it should last
WITH used AS (
    SELECT customer_id, sum(owner_fee) AS fees
    FROM calls
    WHERE start_at > ledger_now() - INTERVAL 30 DAY AND start_at <= ledger_now()
        AND month >= strftime(ledger_now() - INTERVAL 30 DAY, '%Y-%m')
    GROUP BY customer_id
),
lasting AS (
    -- in whole hao: 30 × balance ÷ what 30 days cost
    SELECT
        customer_id,
        name,
        provider_id,
        balance,
        fees,
        CASE WHEN balance <= 0 THEN 0
             ELSE (CAST(balance * 10000 AS HUGEINT) * 30) // CAST(fees * 10000 AS HUGEINT) END AS days_left
    FROM customer_balances
    JOIN used USING (customer_id)
    WHERE fees > 0
)
SELECT
    customer_id,
    name,
    provider_id,
    balance AS balance_yuan,
    CAST(fees AS DECIMAL(18, 4)) AS used_in_30_days_yuan,
    CAST(days_left AS BIGINT) AS days_left
FROM lasting
WHERE days_left < CAST($days AS BIGINT)
ORDER BY days_left, balance_yuan, customer_id
