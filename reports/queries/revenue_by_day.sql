-- Revenue by day and class of number
-- What the month's statements charge, by the day it arose and the number's class: calls (also late ones of earlier
-- months), minimums, features and all else. The sum of `yuan` is the month's revenue.
-- $month: the billed month, such as 2026-10
WITH by_number AS (
    SELECT
        CAST(start_at AS DATE) AS day,
        service_number,
        count(*) AS calls,
        sum(billed_min) AS billed_min,
        sum(owner_fee) AS calls_yuan
    FROM calls
    WHERE billed_month = $month AND month <= $month
    GROUP BY ALL
),
posted AS (
    SELECT
        CAST("at" AS DATE) AS day,
        service_number,
        CASE WHEN starts_with(credit, 'platform/revenue/') THEN credit ELSE debit END AS account,
        CASE WHEN starts_with(credit, 'platform/revenue/') THEN amount ELSE -amount END AS amount
    FROM postings
    WHERE month = $month
        AND starts_with(credit, 'platform/revenue/') <> starts_with(debit, 'platform/revenue/')
),
charged AS (
    SELECT day, service_number, calls, billed_min, calls_yuan, 0 AS minimum_yuan, 0 AS features_yuan, 0 AS other_yuan
    FROM by_number
    UNION ALL
    SELECT
        day, service_number, 0, 0,
        if(account = 'platform/revenue/calls', amount, 0),
        if(account = 'platform/revenue/minimum', amount, 0),
        if(account = 'platform/revenue/features', amount, 0),
        if(account NOT IN ('platform/revenue/calls', 'platform/revenue/minimum', 'platform/revenue/features'), amount, 0)
    FROM posted
)
SELECT
    day,
    number_class,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(sum(billed_min) AS DECIMAL(18, 4)) AS billed_min,
    CAST(sum(calls_yuan) AS DECIMAL(18, 4)) AS calls_yuan,
    CAST(sum(minimum_yuan) AS DECIMAL(18, 4)) AS minimum_yuan,
    CAST(sum(features_yuan) AS DECIMAL(18, 4)) AS features_yuan,
    CAST(sum(other_yuan) AS DECIMAL(18, 4)) AS other_yuan,
    CAST(sum(calls_yuan + minimum_yuan + features_yuan + other_yuan) AS DECIMAL(18, 4)) AS yuan
FROM charged
LEFT JOIN numbers USING (service_number)
GROUP BY day, number_class
ORDER BY day, number_class
