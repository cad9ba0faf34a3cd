-- A fine is issued by one event; paying, taking back and falling overdue are others that name it.
CREATE VIEW fines AS
WITH told AS (
    SELECT seq, kind, command_id, "at", CAST(effect AS JSON) ->> '$.fine_id' AS fine_id,
        CAST(CAST(effect AS JSON) ->> '$.due_at' AS TIMESTAMPTZ) AS due_at
    FROM events_rows
    WHERE outcome = 'accepted'
        AND kind IN ('suspect_fraud', 'notice_secondary_sale', 'not_rectified', 'issue_fine', 'fine_overdue')
),
taken_back AS (SELECT reverses, min("at") AS "at" FROM postings WHERE kind = 'reversal' GROUP BY reverses),
paid AS (
    SELECT payment.reason AS fine_id, payment."at"
    FROM postings AS payment
    LEFT JOIN taken_back ON taken_back.reverses = payment.posting_id
    WHERE payment.kind = 'fine_payment' AND taken_back.reverses IS NULL
)
SELECT
    issued.fine_id,
    posting.provider_id,
    posting.service_number,
    posting.amount,
    posting.reason,
    posting."at" AS issued_at,
    issued.due_at,
    CASE
        WHEN reversal."at" IS NOT NULL THEN 'reversed'
        WHEN paid."at" IS NOT NULL THEN 'paid'
        WHEN issued.due_at <= ledger_now() THEN 'overdue'
        ELSE 'open'
    END AS state,
    coalesce(reversal."at", paid."at") AS settled_at,
    posting.posting_id
FROM told AS issued
JOIN postings AS posting ON posting.seq = issued.seq AND posting.kind = 'fine'
LEFT JOIN taken_back AS reversal ON reversal.reverses = posting.posting_id
LEFT JOIN paid ON paid.fine_id = issued.fine_id
WHERE issued.kind <> 'fine_overdue' AND issued.fine_id IS NOT NULL;

COMMENT ON VIEW fines IS 'A row is a fine on a provider (R-PEN-4).';
COMMENT ON COLUMN fines.fine_id IS 'What pay_fine names.';
COMMENT ON COLUMN fines.provider_id IS 'Who is fined.';
COMMENT ON COLUMN fines.service_number IS 'The number that it is about; null if about none.';
COMMENT ON COLUMN fines.amount IS 'Yuan.';
COMMENT ON COLUMN fines.reason IS 'What it is for.';
COMMENT ON COLUMN fines.issued_at IS 'When it was issued: the day of its notice counts as zero.';
COMMENT ON COLUMN fines.due_at IS 'When it is overdue if it has not been paid: 24:00 of the fifth working day.';
COMMENT ON COLUMN fines.state IS 'open, overdue, paid or reversed, at the time of the question.';
COMMENT ON COLUMN fines.settled_at IS 'When it was paid or taken back; null until then.';
COMMENT ON COLUMN fines.posting_id IS 'Its posting.';
