-- Whom the month's calls were charged to.
SELECT DISTINCT customer_id FROM calls WHERE month = $month AND billed_month = $month
