-- Disputes about charges of the month, as they stood at its close (R-FEAT-2).
WITH settled AS (
    SELECT effect ->> '$.dispute_id' AS dispute_id, effect ->> '$.outcome' AS outcome
    FROM events
    WHERE kind = 'settle_dispute' AND outcome = 'accepted' AND seq <= $until_seq
)
SELECT
    opened.effect ->> '$.posting_id' AS posting_id,
    coalesce(settled.outcome, 'open') AS outcome
FROM events AS opened
LEFT JOIN settled ON settled.dispute_id = opened.effect ->> '$.dispute_id'
WHERE opened.kind = 'open_dispute' AND opened.outcome = 'accepted' AND opened.seq <= $until_seq
