-- What events charge each account more or less, by the month that is charged and the month it is billed to. A charge is
-- what moves between an account and the platform's revenue, and a plan's fee, which becomes call credit; payments and
-- settlements charge nothing. A correction says in its reason which month's call or top-up it is about.
WITH postings AS (
    SELECT
        unnest(p_kind) AS kind,
        unnest(p_month) AS billed_month,
        unnest(p_debit) AS debit,
        unnest(p_credit) AS credit,
        unnest(p_amount) AS amount,
        unnest(p_reason) AS reason
    FROM decided
    WHERE outcome = 'accepted'
),
legs AS (
    SELECT *, debit AS leaf, credit AS other, amount AS charged FROM postings
    UNION ALL
    SELECT *, credit AS leaf, debit AS other, -amount AS charged FROM postings
),
charges AS (
    SELECT
        regexp_extract(leaf, '^(customer|provider)/[^/]+') AS account,
        CASE
            WHEN kind IN ('rerating', 'minimum_top_up', 'late_call_adjustment') THEN right(reason, 7)
            ELSE billed_month
        END AS month,
        billed_month,
        CASE
            WHEN other = 'platform/revenue/calls' THEN 'calls'
            WHEN other = 'platform/revenue/minimum' THEN 'top_ups'
            WHEN other IN ('platform/revenue/features', 'platform/revenue/fines') THEN 'fees'
            WHEN other = 'platform/bank' AND contains(leaf, '/credit/') THEN 'plan_fees'
        END AS what,
        charged
    FROM legs
    WHERE NOT starts_with(leaf, 'platform/')
)
SELECT
    account,
    month,
    billed_month,
    CAST(coalesce(sum(charged) FILTER (what = 'calls'), 0) AS DECIMAL(18, 4)) AS calls_yuan,
    CAST(coalesce(sum(charged) FILTER (what = 'top_ups'), 0) AS DECIMAL(18, 4)) AS top_ups_yuan,
    CAST(
        coalesce(sum(CASE WHEN what = 'plan_fees' THEN -charged ELSE charged END) FILTER (what IN ('fees', 'plan_fees')), 0)
        AS DECIMAL(18, 4)
    ) AS fees_yuan,
    CAST(calls_yuan + top_ups_yuan + fees_yuan AS DECIMAL(18, 4)) AS difference_yuan
FROM charges
WHERE what IS NOT NULL AND ($month IS NULL OR $month IN (month, billed_month))
GROUP BY account, month, billed_month
HAVING calls_yuan <> 0 OR top_ups_yuan <> 0 OR fees_yuan <> 0
ORDER BY account, month, billed_month
