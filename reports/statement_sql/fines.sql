-- The fines that a month's statements show, as they stood at its close: issued in the month, paid in it, or owed still.
WITH taken_back AS (
    SELECT reverses FROM postings WHERE kind = 'reversal' AND seq <= $until_seq
),
paid AS (
    SELECT reason AS fine_id, max("at") AS "at", max(month) AS month
    FROM postings
    WHERE kind = 'fine_payment' AND seq <= $until_seq AND NOT EXISTS (FROM taken_back WHERE reverses = posting_id)
    GROUP BY reason
)
SELECT
    fines.provider_id,
    fines.fine_id,
    fines.service_number,
    CAST(fines.amount * 10000 AS BIGINT) AS amount_hao,
    coalesce(fines.reason, '') AS reason,
    fines.issued_at,
    fines.due_at,
    paid."at" AS paid_at
FROM fines
JOIN postings AS issued ON issued.posting_id = fines.posting_id
LEFT JOIN paid ON paid.fine_id = fines.fine_id
WHERE issued.seq <= $until_seq AND issued.month <= $month
    AND (issued.month = $month OR paid.month IS NULL OR paid.month >= $month)
    AND NOT EXISTS (FROM taken_back WHERE reverses = fines.posting_id)
ORDER BY fines.issued_at, issued.seq
