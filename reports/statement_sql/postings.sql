-- What was posted to the month's statements, in the order of the ledger.
WITH reversals AS (
    SELECT p.posting_id, if(starts_with(p.reverses, 'call/'), 'call', original.kind) AS reversed_kind
    FROM postings AS p
    LEFT JOIN postings AS original ON original.posting_id = p.reverses
    WHERE p.kind = 'reversal' AND p.month = $month
)

SELECT
    posting_id,
    "at",
    kind,
    event_kind,
    debit,
    credit,
    CAST(amount * 10000 AS BIGINT) AS amount_hao,
    service_number,
    customer_id,
    provider_id,
    reason,
    reversed_kind
FROM postings
LEFT JOIN reversals USING (posting_id)
WHERE month = $month
ORDER BY seq, CAST(split_part(posting_id, '-', 2) AS BIGINT)
