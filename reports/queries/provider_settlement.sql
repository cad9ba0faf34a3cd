-- Provider settlement
-- Each provider's account in the month: what it had, what it paid in, what features and fines cost, what it has. Beside
-- it what its own customers were charged, which they pay themselves.
-- $month: the billed month, such as 2026-10
WITH legs AS (
    SELECT split_part(account, '/', 2) AS provider_id, month, kind, amount
    FROM (
        SELECT month, kind, unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount
        FROM postings
        WHERE month <= $month
    )
    WHERE starts_with(account, 'provider/')
),
accounts AS (
    SELECT
        provider_id,
        sum(amount) FILTER (WHERE month < $month) AS opening,
        sum(amount) FILTER (WHERE month = $month AND kind IN ('payment', 'refund', 'fine_payment')) AS paid,
        sum(amount) FILTER (WHERE month = $month AND kind = 'feature_fee') AS features,
        sum(amount) FILTER (WHERE month = $month AND kind = 'fine') AS fines,
        sum(amount) FILTER (
            WHERE month = $month AND kind NOT IN ('payment', 'refund', 'fine_payment', 'feature_fee', 'fine')
        ) AS other,
        sum(amount) AS closing
    FROM legs
    GROUP BY provider_id
),
charged AS (
    SELECT provider_id, sum(amount) AS amount
    FROM statement_lines
    WHERE month = $month AND customer_id IS NOT NULL
        AND kind IN ('call', 'minimum_top_up', 'late_call_adjustment', 'rerating')
    GROUP BY provider_id
),
providers AS (
    SELECT
        CAST(effect AS JSON) ->> '$.provider_id' AS provider_id,
        any_value(CAST(effect AS JSON) ->> '$.name') AS name
    FROM events
    WHERE kind = 'register_provider' AND outcome = 'accepted'
    GROUP BY ALL
)
SELECT
    provider_id,
    providers.name,
    CAST(coalesce(opening, 0) AS DECIMAL(18, 4)) AS opening_yuan,
    CAST(coalesce(paid, 0) AS DECIMAL(18, 4)) AS paid_in_yuan,
    CAST(coalesce(features, 0) AS DECIMAL(18, 4)) AS features_yuan,
    CAST(coalesce(fines, 0) AS DECIMAL(18, 4)) AS fines_yuan,
    CAST(coalesce(other, 0) AS DECIMAL(18, 4)) AS other_yuan,
    CAST(coalesce(closing, 0) AS DECIMAL(18, 4)) AS closing_yuan,
    CAST(coalesce(charged.amount, 0) AS DECIMAL(18, 4)) AS customers_charged_yuan
FROM providers
LEFT JOIN accounts USING (provider_id)
LEFT JOIN charged USING (provider_id)
ORDER BY provider_id
