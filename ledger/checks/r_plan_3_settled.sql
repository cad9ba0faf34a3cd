-- R-PLAN-3: a close settles all usage up to its month; what is in the customer's favour is carried on, as it says.
WITH moved AS (
    SELECT customer_id, billed_month AS month, -sum(amount) AS amount FROM called GROUP BY ALL
    UNION ALL
    SELECT split_part(account, '/', 2) AS customer_id, month, sum(amount) AS amount
    FROM legs
    WHERE starts_with(account, 'customer/') AND ends_with(account, '/usage')
    GROUP BY ALL
),
said AS (
    SELECT customer_id, month, seq, TRY_CAST(closing ->> '$.usage' AS DECIMAL(18, 4)) AS amount FROM closed
),
months AS (
    SELECT customer_id, month, sum(amount) AS amount, any_value(said) AS said, any_value(seq) AS seq
    FROM (
        SELECT customer_id, month, amount, NULL AS said, NULL AS seq FROM moved
        UNION ALL
        SELECT customer_id, month, 0 AS amount, amount AS said, seq FROM said
    )
    WHERE month <= last_closed_month()
    GROUP BY ALL
),
together AS (
    SELECT
        customer_id, month, coalesce(said, 0) AS said, seq,
        sum(amount) OVER (PARTITION BY customer_id ORDER BY month) AS open
    FROM months
)
SELECT
    coalesce(seq, 0) AS place,
    'customer/' || customer_id || '/usage at the close of ' || month AS named,
    'is left at ' || said || ', its movements come to ' || open AS says
FROM together
WHERE open <> said OR open < 0
