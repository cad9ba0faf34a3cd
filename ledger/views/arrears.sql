-- Who owes what as of the connection's time (R-ARR-1): customers, and providers whose deposit and fines are below zero.
CREATE VIEW arrears AS
WITH posted AS (
    SELECT unnest(p_debit) AS debit, unnest(p_credit) AS credit, unnest(p_amount) AS amount
    FROM events_rows
    WHERE outcome = 'accepted'
),
provider_legs AS (
    SELECT split_part(debit, '/', 2) AS provider_id, -amount AS amount FROM posted WHERE starts_with(debit, 'provider/')
    UNION ALL
    SELECT split_part(credit, '/', 2), amount FROM posted WHERE starts_with(credit, 'provider/')
),
accounts AS (
    SELECT 'customer/' || customer_id AS account, balance FROM customer_balances
    UNION ALL
    SELECT 'provider/' || provider_id AS account, CAST(sum(amount) AS DECIMAL(18, 4)) AS balance
    FROM provider_legs
    WHERE provider_id <> 'platform' -- the platform owes itself nothing
    GROUP BY provider_id
)
SELECT
    account,
    balance,
    since,
    (epoch_us(ledger_now()) - epoch_us(since)) // 86400000000 AS days,
    coalesce(stage, 'arrears') AS stage,
    last_alert_at
FROM accounts
LEFT JOIN standings USING (account)
WHERE balance < 0;

COMMENT ON VIEW arrears IS 'A row is a debtor: a customer or a provider whose balance is below zero.';
COMMENT ON COLUMN arrears.account IS 'customer/ or provider/ and its id.';
COMMENT ON COLUMN arrears.balance IS 'What it has, below zero, in yuan.';
COMMENT ON COLUMN arrears.since IS 'When its balance fell below zero; null while that has not been decided yet.';
COMMENT ON COLUMN arrears.days IS 'Whole days of 24 hours from since to the time of the question.';
COMMENT ON COLUMN arrears.stage IS 'What was done about it last: arrears, suspended, frozen or long_arrears.';
COMMENT ON COLUMN arrears.last_alert_at IS 'When it was told so last.';
