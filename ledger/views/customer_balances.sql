-- From each customer's last close and what came after it; calls of closed months are not read again.
-- A close leaves `usage` of later months out, so calls and usage postings billed to them count as after it.
CREATE VIEW customer_balances AS
WITH last_close AS (
    SELECT effect ->> '$.customer_id' AS customer_id, max(seq) AS seq
    FROM events_rows
    WHERE kind = 'close_customer' AND outcome = 'accepted'
    GROUP BY ALL
),
closing AS (
    SELECT last_close.customer_id, last_close.seq, effect ->> '$.month' AS month, effect -> '$.closing' AS leaves
    FROM last_close
    JOIN events_rows ON events_rows.seq = last_close.seq
),
at_close AS (
    SELECT closing.customer_id, leaf.key AS leaf, CAST(leaf.value ->> '$' AS DECIMAL(18, 4)) AS amount
    FROM closing, json_each(closing.leaves) AS leaf
),
posted AS (
    SELECT
        seq,
        unnest(p_customer_id) AS customer_id,
        unnest(p_month) AS month,
        unnest(p_debit) AS debit,
        unnest(p_credit) AS credit,
        unnest(p_amount) AS amount
    FROM events_rows
    WHERE outcome = 'accepted'
),
-- the rows that may count: few, when closes are recent, so accounts are taken apart only then
posted_since AS (
    SELECT
        posted.*,
        closing.seq IS NULL OR posted.seq > closing.seq AS after_close
    FROM posted
    LEFT JOIN closing ON closing.customer_id = posted.customer_id
    WHERE posted.customer_id IS NOT NULL
        AND (closing.seq IS NULL OR posted.seq > closing.seq OR posted.month > closing.month)
),
sides AS (
    SELECT customer_id, after_close, unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount
    FROM posted_since
),
posted_after AS (
    SELECT customer_id, substr(account, length('customer/' || customer_id) + 2) AS leaf, amount
    FROM sides
    WHERE starts_with(account, 'customer/') AND (after_close OR ends_with(account, '/usage'))
),
called_after AS (
    -- two branches, for only a plain comparison keeps files and row groups unread
    SELECT customer_id, owner_fee
    FROM calls_rows
    WHERE outcome = 'rated' AND month > last_closed_month()
    UNION ALL
    SELECT customer_id, owner_fee
    FROM calls_rows
    WHERE outcome = 'rated' AND month <= last_closed_month() AND seq >= last_closed_calls_seq()
),
amounts AS (
    SELECT customer_id, leaf, amount FROM at_close
    UNION ALL
    SELECT customer_id, leaf, amount FROM posted_after
    UNION ALL
    SELECT customer_id, 'usage' AS leaf, -sum(owner_fee) AS amount FROM called_after GROUP BY customer_id
),
registered AS (
    SELECT
        effect ->> '$.customer_id' AS customer_id,
        any_value(effect ->> '$.name') AS name,
        any_value(effect ->> '$.provider_id') AS provider_id
    FROM events_rows
    WHERE kind = 'register_customer' AND outcome = 'accepted'
    GROUP BY ALL
),
sums AS (
    SELECT
        customer_id,
        sum(amount) FILTER (WHERE leaf = 'cash') AS cash,
        sum(amount) FILTER (WHERE starts_with(leaf, 'credit/')) AS credit,
        sum(amount) FILTER (WHERE leaf = 'usage') AS usage,
        sum(amount) AS balance
    FROM amounts
    GROUP BY customer_id
)
SELECT
    customer_id,
    CAST(coalesce(sums.cash, 0) AS DECIMAL(18, 4)) AS cash,
    CAST(coalesce(sums.credit, 0) AS DECIMAL(18, 4)) AS credit,
    CAST(coalesce(sums.balance, 0) AS DECIMAL(18, 4)) AS balance,
    standings.since AS in_arrears_since,
    CAST(coalesce(sums.usage, 0) AS DECIMAL(18, 4)) AS usage,
    registered.name,
    registered.provider_id
FROM registered
FULL JOIN sums USING (customer_id)
LEFT JOIN standings ON standings.account = 'customer/' || customer_id;

COMMENT ON VIEW customer_balances IS 'A row is a customer and what it has, from its last close and what came after; verify proves it against balances.';
COMMENT ON COLUMN customer_balances.customer_id IS 'The customer''s id.';
COMMENT ON COLUMN customer_balances.cash IS 'What it paid and has not used; below zero when it owes.';
COMMENT ON COLUMN customer_balances.credit IS 'Call credit of all its paid periods (R-PLAN-1).';
COMMENT ON COLUMN customer_balances.balance IS 'Everything it has: cash, credit and usage together; below zero is arrears.';
COMMENT ON COLUMN customer_balances.in_arrears_since IS 'When the balance fell below zero (R-ARR-1); null if it is not in arrears.';
COMMENT ON COLUMN customer_balances.usage IS 'Charges that no close has settled yet, below zero.';
COMMENT ON COLUMN customer_balances.name IS 'Its name as registered.';
COMMENT ON COLUMN customer_balances.provider_id IS 'The provider that registered it.';
