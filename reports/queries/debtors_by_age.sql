-- Debtors by age
-- Who owes, in steps of 30 days since the balance fell below zero: how many, and how much.
WITH aged AS (
    SELECT
        split_part(account, '/', 1) AS debtor,
        CASE
            WHEN days IS NULL THEN 'not decided yet'
            WHEN days < 30 THEN '0-29 days'
            WHEN days < 60 THEN '30-59 days'
            WHEN days < 90 THEN '60-89 days'
            ELSE '90 days and more'
        END AS age,
        stage,
        balance
    FROM arrears
)
SELECT
    debtor,
    age,
    count(*) AS debtors,
    count(*) FILTER (WHERE stage <> 'arrears') AS suspended_or_worse,
    CAST(-sum(balance) AS DECIMAL(18, 4)) AS owed_yuan
FROM aged
GROUP BY debtor, age
ORDER BY debtor, age
