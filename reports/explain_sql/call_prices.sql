-- A statement line of calls, by the month of the calls and the rate.
SELECT month, rate, count(*) AS calls, sum(billed_min) AS minutes, sum(owner_fee) AS amount
FROM calls
WHERE billed_month = $month AND customer_id = $customer_id AND provider_id = $provider_id
    AND service_number = $service_number
GROUP BY month, rate
ORDER BY month, rate
