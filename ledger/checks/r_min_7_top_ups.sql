-- R-MIN-7: of every closed month each number was charged max(0, minimum - calls), with late calls, re-ratings,
-- adjustments, and minimums that a fact recorded late has changed. A top-up or adjustment says which month it is for.
WITH months AS (
    SELECT service_number, customer_id, month, sum(minimum) AS minimum, sum(calls) AS calls, sum(charged) AS charged
    FROM (
        SELECT service_number, customer_id, month, minimum, 0 AS calls, 0 AS charged FROM workings
        UNION ALL
        SELECT service_number, customer_id, month, 0 AS minimum, amount AS calls, 0 AS charged FROM called
        WHERE is_followed AND month <= last_closed_month()
        UNION ALL
        SELECT
            service_number,
            customer_id,
            month,
            CASE WHEN is_minimum THEN amount ELSE 0 END AS minimum,
            CASE WHEN is_minimum THEN 0 ELSE amount END AS calls,
            0 AS charged
        FROM rerated
        WHERE month <= last_closed_month()
        UNION ALL
        SELECT
            service_number,
            customer_id,
            regexp_extract(reason, '^top-up of ([0-9]{4}-[0-9]{2})$', 1) AS month,
            0 AS minimum,
            0 AS calls,
            CASE kind WHEN 'minimum_top_up' THEN amount ELSE -amount END AS charged
        FROM posted
        WHERE kind IN ('minimum_top_up', 'late_call_adjustment')
    )
    GROUP BY ALL
)
SELECT
    row_number() OVER (ORDER BY month, service_number, customer_id) AS place,
    service_number || ' in ' || month || ' (customer ' || customer_id || ')' AS named,
    'was topped up by ' || charged || '; its minimum of ' || minimum || ' less calls of ' || calls || ' is '
    || greatest(0, minimum - calls) AS says
FROM months
WHERE charged <> greatest(0, minimum - calls)
