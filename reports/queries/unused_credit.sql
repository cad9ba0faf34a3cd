-- Unused call credit
-- What customers paid for and have not called for yet, with the day it ends: a liability until then, revenue if it
-- lapses.
WITH contracts AS (
    SELECT CAST(effect AS JSON) AS effect
    FROM events
    WHERE kind IN ('sign_contract', 'renew_contract') AND outcome = 'accepted'
),
credits AS (
    SELECT
        effect ->> '$.credit' AS account,
        effect ->> '$.customer_id' AS customer_id,
        effect ->> '$.service_number' AS service_number,
        effect ->> '$.plan_id' AS plan_id,
        CAST(effect ->> '$.credit_ends_on' AS DATE) AS ends_on
    FROM contracts
    WHERE effect ->> '$.credit' IS NOT NULL
),
left_over AS (
    SELECT account, sum(amount) AS amount
    FROM (
        SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount
        FROM postings
        WHERE contains(debit, '/credit/') OR contains(credit, '/credit/')
    )
    WHERE contains(account, '/credit/')
    GROUP BY account
)
SELECT
    credits.ends_on,
    date_diff('day', CAST(ledger_now() AS DATE), credits.ends_on) AS days_left,
    credits.customer_id,
    customer_balances.name,
    credits.service_number,
    credits.plan_id,
    CAST(left_over.amount AS DECIMAL(18, 4)) AS unused_yuan
FROM left_over
JOIN credits USING (account)
LEFT JOIN customer_balances USING (customer_id)
WHERE left_over.amount > 0
ORDER BY credits.ends_on, credits.customer_id, credits.service_number
