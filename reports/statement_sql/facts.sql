-- What events said about names, credits and the month's close, in order.
SELECT kind, seq, "at", calls_seq, effect
FROM events
WHERE
    outcome = 'accepted'
    AND (
        kind IN ('register_provider', 'register_customer', 'sign_contract', 'renew_contract', 'adopt_price_book')
        OR (kind = 'close_month' AND command_id = 'close/' || $month)
    )
ORDER BY seq
