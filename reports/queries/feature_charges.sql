-- A day's charges for features
-- What each provider was charged for features on a day, with the disputes about it (R-FEAT-1, R-FEAT-2).
-- $day: the day, such as 2026-10-12
SELECT
    charge.provider_id,
    charge."at",
    charge.service_number,
    charge.customer_id,
    charge.reason AS feature,
    charge.amount AS yuan,
    charge.posting_id,
    disputes.dispute_id,
    coalesce(disputes.outcome, 'not disputed') AS dispute
FROM postings AS charge
LEFT JOIN disputes USING (posting_id)
WHERE charge.kind = 'feature_fee' AND strftime(charge."at", '%Y-%m-%d') = $day
ORDER BY charge.provider_id, charge."at", charge.posting_id
