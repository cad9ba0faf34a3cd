-- What the bank has and we do not, the other way, and payments whose amounts differ.
WITH theirs_left AS (
    SELECT *, row_number() OVER (PARTITION BY reference_key ORDER BY "at", line) AS rest
    FROM theirs WHERE amount IS NOT NULL AND NOT EXISTS (FROM agreed WHERE agreed.line = theirs.line)
),
ours_left AS (
    SELECT *, row_number() OVER (PARTITION BY reference_key ORDER BY "at", posting_id) AS rest
    FROM ours WHERE NOT EXISTS (FROM agreed WHERE agreed.posting_id = ours.posting_id)
),
differences AS (
    SELECT
        CASE WHEN t.line IS NULL THEN 'only_ours' WHEN o.posting_id IS NULL THEN 'only_bank' ELSE 'amount' END AS finding,
        t.line,
        o.posting_id,
        coalesce(t.reference, o.reference) AS reference,
        coalesce(t."at", o."at") AS "at",
        o.account,
        t.amount AS bank_yuan,
        o.amount AS our_yuan
    FROM theirs_left AS t
    FULL JOIN ours_left AS o ON o.reference_key = t.reference_key AND o.rest = t.rest
    UNION ALL
    SELECT 'unreadable', line, NULL, reference, "at", NULL, NULL, NULL FROM theirs WHERE amount IS NULL
)
SELECT
    finding, line, posting_id, reference, "at", account, bank_yuan, our_yuan,
    coalesce(bank_yuan, 0) - coalesce(our_yuan, 0) AS difference_yuan
FROM differences
ORDER BY finding, "at", line, posting_id
