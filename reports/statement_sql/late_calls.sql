-- Calls of closed months that came since the statement before, with what each took back of its month's top-up.
WITH adjustments AS (
    SELECT command_id, sum(CASE kind WHEN 'minimum_top_up' THEN amount ELSE -amount END) AS amount
    FROM postings
    WHERE event_kind = 'adjust_minimum' AND month = $month
    GROUP BY command_id
)

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
    CAST(coalesce(j.amount, 0) AS DECIMAL(18, 4)) AS adjustment
FROM calls AS c
LEFT JOIN areas AS a ON a.code = c.caller_area
LEFT JOIN adjustments AS j ON j.command_id = 'adjust/' || c.call_id
WHERE c.month < $month AND c.billed_month = $month
ORDER BY c.customer_id, c.service_number, c.start_at, c.seq
