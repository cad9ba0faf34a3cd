-- R-INV-3: a reversal names a posting before it with the same amount and the accounts swapped; each is reversed once.
WITH reversals AS (
    SELECT * FROM posted WHERE kind = 'reversal'
),
judged AS (
    SELECT
        r.seq,
        r.posting_id,
        r.reverses,
        CASE
            WHEN r.reverses IS NULL THEN 'which is none'
            WHEN o.posting_id IS NULL THEN 'which is not there'
            WHEN o.seq >= r.seq THEN 'which is not before it'
            WHEN o.amount IS DISTINCT FROM r.amount THEN 'which moved ' || o.amount || ', not ' || r.amount
            WHEN o.debit IS DISTINCT FROM r.credit OR o.credit IS DISTINCT FROM r.debit THEN 'which is between other accounts'
            WHEN count(*) OVER (PARTITION BY r.reverses) > 1 THEN 'as another reversal does'
        END AS fault
    FROM reversals AS r
    LEFT JOIN posted AS o ON o.posting_id = r.reverses
)
SELECT
    seq AS place,
    'posting ' || posting_id AS named,
    'reverses ' || coalesce(reverses, 'nothing') || ', ' || fault AS says
FROM judged
WHERE fault IS NOT NULL
