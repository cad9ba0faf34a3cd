-- What the month's statements charge for calls, a row for each number: the lines that `fentan explain` knows.
SELECT
    line_id,
    customer_id,
    service_number,
    CAST(entries AS BIGINT) AS calls,
    CAST(amount * 10000 AS BIGINT) AS amount_hao
FROM statement_lines
WHERE month = $month AND kind = 'call' AND amount <> 0
ORDER BY customer_id, service_number, line_id
