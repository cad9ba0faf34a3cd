-- R-MIN-1: a close charged each number max(its calls, its minimum): the calls that it counted are those that it
-- covers, its top-up is what was missing, and that is what it posted.
WITH counted AS (
    SELECT service_number, customer_id, month, sum(amount) AS amount
    FROM (
        SELECT service_number, customer_id, month, amount FROM called WHERE billed_month = month
        UNION ALL
        SELECT r.service_number, r.customer_id, r.month, r.amount
        FROM rerated AS r
        JOIN closed AS c ON c.customer_id = r.customer_id AND c.month = r.month AND c.seq > r.seq
        WHERE NOT r.is_minimum
    )
    GROUP BY ALL
),
charged AS (
    SELECT seq, service_number, sum(amount) AS amount FROM posted
    WHERE kind = 'minimum_top_up' AND event_kind = 'close_customer'
    GROUP BY ALL
),
judged AS (
    SELECT
        w.seq,
        w.service_number,
        w.month,
        CASE
            WHEN w.calls IS DISTINCT FROM coalesce(n.amount, 0)
                THEN 'counted calls of ' || coalesce(CAST(w.calls AS VARCHAR), 'nothing') || ', they come to ' || coalesce(n.amount, 0)
            WHEN w.top_up IS DISTINCT FROM greatest(0, w.minimum - w.calls)
                THEN 'topped up ' || w.calls || ' to ' || w.minimum || ' by ' || w.top_up
            WHEN w.top_up IS DISTINCT FROM coalesce(p.amount, 0)
                THEN 'topped up by ' || w.top_up || ' and posted ' || coalesce(p.amount, 0)
        END AS says
    FROM workings AS w
    LEFT JOIN counted AS n
        ON n.service_number = w.service_number AND n.customer_id = w.customer_id AND n.month = w.month
    LEFT JOIN charged AS p ON p.seq = w.seq AND p.service_number = w.service_number
)
SELECT seq AS place, 'the close of ' || month || ' for ' || service_number AS named, says
FROM judged
WHERE says IS NOT NULL
