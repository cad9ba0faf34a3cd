-- R-INV-2: all accounts together are zero.
WITH together AS (
    SELECT coalesce(sum(balance), 0) AS total FROM balances WHERE account IS NOT NULL
)
SELECT 0 AS place, 'all accounts' AS named, 'are ' || total || ' together' AS says FROM together WHERE total <> 0
