-- Every call that a month's statements detail, in any order.
SELECT
    c.customer_id,
    c.service_number,
    c.call_id,
    c.start_at,
    c.caller_number,
    coalesce(a.name, c.caller_area) AS caller_area,
    c.answer_at IS NOT NULL AS answered,
    c.duration_s,
    c.billed_s,
    c.rate,
    c.owner_fee,
    c.caller_estimate,
    c.tags,
    c.seq
FROM calls AS c
LEFT JOIN areas AS a ON a.code = c.caller_area
WHERE
    c.month = $month AND c.billed_month = $month
    AND ($customer IS NULL OR c.customer_id = $customer)
