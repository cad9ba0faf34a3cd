-- The month's calls by number, as they were rated, and what the other prices would have made of each of them. A call
-- that was rated at its plan's rate gets the plan's other rate; a rate that was agreed otherwise stays. Each call is
-- rounded by itself (R-CALL-3), in whole hao; what the caller's leg adds to an 800 number's fee stays.
WITH called AS (
    SELECT
        customer_id,
        service_number,
        CAST(rate * 10000 AS BIGINT) AS rate_hao,
        duration_s,
        billed_s,
        CAST(owner_fee * 10000 AS BIGINT) AS fee_hao
    FROM calls
    WHERE month = $month
),
counted AS (
    SELECT customer_id, service_number, rate_hao, duration_s, billed_s, count(*) AS calls, sum(fee_hao) AS fees_hao
    FROM called
    GROUP BY ALL
)
SELECT
    c.customer_id,
    c.service_number,
    CAST(sum(c.calls) AS BIGINT) AS calls,
    CAST(sum(c.fees_hao) AS BIGINT) AS fees_hao,
    CAST(sum(CASE WHEN p.service_number IS NULL THEN 0 ELSE c.calls * (
        (
            CASE WHEN c.rate_hao = p.rate_hao THEN p.other_rate_hao ELSE c.rate_hao END
            * ((c.duration_s + p.increment_s - 1) // p.increment_s * p.increment_s) + 30
        ) // 60
        - (c.rate_hao * c.billed_s + 30) // 60
    ) END) AS BIGINT) AS more_hao
FROM counted AS c
LEFT JOIN other_prices AS p ON p.service_number = c.service_number AND p.customer_id = c.customer_id
GROUP BY c.customer_id, c.service_number
