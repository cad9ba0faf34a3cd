-- R-INV-3: a re-rating corrects a call that was charged to the same customer for the same number, and its event
-- says what its postings come to.
WITH corrections AS (
    SELECT
        seq, posting_id, reverses, service_number, customer_id, reason,
        CASE WHEN starts_with(debit, 'customer/') THEN amount ELSE -amount END AS amount
    FROM posted
    WHERE kind = 'rerating'
),
corrected AS (
    SELECT call_id, service_number, customer_id
    FROM calls_rows
    WHERE outcome = 'rated' AND 'call/' || call_id IN (SELECT reverses FROM corrections)
),
unknown AS (
    SELECT
        c.seq AS place,
        'posting ' || c.posting_id AS named,
        're-rates ' || coalesce(c.reverses, 'nothing') || ', which was not charged to this customer' AS says
    FROM corrections AS c
    WHERE NOT EXISTS (
        FROM corrected AS k
        WHERE 'call/' || k.call_id = c.reverses
            AND k.service_number = c.service_number
            AND k.customer_id = c.customer_id
    )
),
sums AS (
    SELECT seq, service_number, customer_id, sum(posted) AS posted, sum(said) AS said
    FROM (
        SELECT seq, service_number, customer_id, amount AS posted, 0 AS said FROM corrections
        UNION ALL
        SELECT seq, service_number, customer_id, 0 AS posted, amount AS said FROM rerated WHERE NOT is_minimum
    )
    GROUP BY ALL
)
SELECT * FROM unknown
UNION ALL
SELECT
    seq AS place,
    'row ' || seq || ' of events' AS named,
    'says that ' || service_number || ' was re-rated by ' || coalesce(CAST(said AS VARCHAR), 'nothing')
    || ', its postings come to ' || posted AS says
FROM sums
WHERE posted IS DISTINCT FROM said
