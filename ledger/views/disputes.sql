-- A dispute is opened by one event and settled by another.
CREATE VIEW disputes AS
WITH told AS (
    SELECT kind, "at", CAST(payload AS JSON) ->> '$.reason' AS reason, CAST(effect AS JSON) AS effect
    FROM events_rows
    WHERE outcome = 'accepted' AND kind IN ('open_dispute', 'settle_dispute')
)
SELECT
    opened.effect ->> '$.dispute_id' AS dispute_id,
    opened.effect ->> '$.posting_id' AS posting_id,
    posting.provider_id,
    posting.service_number,
    posting.amount,
    posting.reason AS feature,
    opened.reason,
    opened."at" AS opened_at,
    settled."at" AS settled_at,
    coalesce(settled.effect ->> '$.outcome', 'open') AS outcome
FROM told AS opened
JOIN postings AS posting ON posting.posting_id = opened.effect ->> '$.posting_id'
LEFT JOIN told AS settled
    ON settled.kind = 'settle_dispute' AND settled.effect ->> '$.dispute_id' = opened.effect ->> '$.dispute_id'
WHERE opened.kind = 'open_dispute';

COMMENT ON VIEW disputes IS 'A row is a provider''s dispute about a charge for a feature (R-FEAT-2).';
COMMENT ON COLUMN disputes.dispute_id IS 'What settle_dispute names.';
COMMENT ON COLUMN disputes.posting_id IS 'The charge.';
COMMENT ON COLUMN disputes.provider_id IS 'Who was charged.';
COMMENT ON COLUMN disputes.service_number IS 'The number whose feature it is.';
COMMENT ON COLUMN disputes.amount IS 'Yuan.';
COMMENT ON COLUMN disputes.feature IS 'What was charged.';
COMMENT ON COLUMN disputes.reason IS 'Why it is disputed.';
COMMENT ON COLUMN disputes.opened_at IS 'When it was opened.';
COMMENT ON COLUMN disputes.settled_at IS 'When it was decided; null while it is open.';
COMMENT ON COLUMN disputes.outcome IS 'open, upheld (the charge stands) or reversed.';
