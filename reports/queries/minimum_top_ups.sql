-- Minimum top-ups
-- Numbers that did not reach their minimum: what the month's statements charge beside their calls, and what late
-- calls of earlier months took back.
-- $month: the billed month, such as 2026-10
WITH topped AS (
    SELECT
        service_number,
        customer_id,
        sum(amount) FILTER (WHERE credit = 'platform/revenue/minimum') AS charged,
        sum(amount) FILTER (WHERE debit = 'platform/revenue/minimum') AS taken_back
    FROM postings
    WHERE month = $month AND (credit = 'platform/revenue/minimum' OR debit = 'platform/revenue/minimum')
    GROUP BY service_number, customer_id
),
called AS (
    SELECT service_number, customer_id, sum(amount) AS amount
    FROM statement_lines
    WHERE month = $month AND kind = 'call'
    GROUP BY service_number, customer_id
)
SELECT
    topped.service_number,
    numbers.number_class,
    topped.customer_id,
    customer_balances.name,
    CAST(coalesce(called.amount, 0) AS DECIMAL(18, 4)) AS calls_yuan,
    CAST(coalesce(topped.charged, 0) AS DECIMAL(18, 4)) AS topped_up_yuan,
    CAST(coalesce(topped.taken_back, 0) AS DECIMAL(18, 4)) AS taken_back_yuan
FROM topped
LEFT JOIN called USING (service_number, customer_id)
LEFT JOIN numbers ON numbers.service_number = topped.service_number
LEFT JOIN customer_balances ON customer_balances.customer_id = topped.customer_id
ORDER BY topped_up_yuan DESC, topped.service_number
