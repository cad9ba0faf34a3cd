-- R-INV-2: what a close says a customer has left is what all movements up to it come to: cash and each credit leaf
-- by leaf, and all of them together, so that no leaf is left out. (Usage: see r_plan_3_settled.)
WITH leaf_legs AS (
    SELECT seq, split_part(account, '/', 2) AS customer_id, account, amount
    FROM legs
    WHERE starts_with(account, 'customer/') AND NOT ends_with(account, '/usage')
),
said AS (
    SELECT
        closed.seq,
        closed.month,
        closed.customer_id,
        'customer/' || closed.customer_id || '/' || leaf.key AS account,
        TRY_CAST(leaf.value ->> '$' AS DECIMAL(18, 4)) AS amount
    FROM closed, json_each(closed.closing) AS leaf
    WHERE leaf.key <> 'usage'
),
by_leaf AS (
    SELECT
        seq, month, account, said,
        sum(delta) OVER (PARTITION BY account ORDER BY seq, is_close) AS moved,
        is_close
    FROM (
        SELECT seq, NULL AS month, account, amount AS delta, NULL AS said, false AS is_close FROM leaf_legs
        UNION ALL
        SELECT seq, month, account, 0 AS delta, amount AS said, true AS is_close FROM said
    )
),
whole AS (
    SELECT
        seq, month, account, said,
        sum(delta) OVER (PARTITION BY account ORDER BY seq, is_close) AS moved,
        is_close
    FROM (
        SELECT seq, NULL AS month, 'customer/' || customer_id AS account, amount AS delta, NULL AS said, false AS is_close
        FROM leaf_legs
        UNION ALL
        SELECT seq, month, 'customer/' || customer_id AS account, 0 AS delta, sum(amount) AS said, true AS is_close
        FROM said
        GROUP BY ALL
    )
),
compared AS (
    SELECT * FROM by_leaf WHERE is_close
    UNION ALL
    SELECT * FROM whole WHERE is_close
)
SELECT
    seq AS place,
    account || ' at the close of ' || month AS named,
    'is closed at ' || coalesce(CAST(said AS VARCHAR), 'nothing') || ', its movements come to ' || moved AS says
FROM compared
WHERE said IS DISTINCT FROM moved
