-- What was posted to the month's statements, in the order of the ledger.
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
    reason
FROM postings
WHERE month = $month
ORDER BY seq, CAST(split_part(posting_id, '-', 2) AS BIGINT)
