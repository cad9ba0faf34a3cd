-- The closes of customers: the month's own, with its workings, and before it the last one, with what it carried.
SELECT effect
FROM events
WHERE kind = 'close_customer' AND outcome = 'accepted' AND effect ->> 'month' <= $month
QUALIFY row_number() OVER (
    PARTITION BY effect ->> 'customer_id', effect ->> 'month' = $month
    ORDER BY effect ->> 'month' DESC
) = 1
ORDER BY seq
