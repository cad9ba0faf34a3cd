-- Each number's calls of the month by the Shanghai day of their start.
SELECT
    customer_id,
    service_number,
    CAST(start_at AS DATE) AS day,
    count(*) AS calls,
    count(answer_at) AS answered,
    CAST(sum(duration_s) AS BIGINT) AS duration_s,
    CAST(sum(billed_s) AS BIGINT) AS billed_s,
    CAST(sum(owner_fee) * 10000 AS BIGINT) AS charges_hao
FROM calls
WHERE month = $month AND billed_month = $month
GROUP BY ALL
ORDER BY ALL
