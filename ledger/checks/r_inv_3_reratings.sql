-- R-INV-3: a re-rating corrects a call to the same number, so that at most one customer pays it, and its event says
-- what its postings come to.
WITH corrections AS (
    SELECT
        seq, posting_id, reverses, service_number, customer_id, reason,
        CASE WHEN starts_with(debit, 'customer/') THEN amount ELSE -amount END AS amount
    FROM posted
    WHERE kind = 'rerating'
),
corrected AS (
    SELECT call_id, service_number, customer_id, owner_fee
    FROM calls_rows
    WHERE outcome = 'rated' AND 'call/' || call_id IN (SELECT reverses FROM corrections)
),
unknown AS (
    SELECT
        c.seq AS place,
        'posting ' || c.posting_id AS named,
        're-rates ' || coalesce(c.reverses, 'nothing') || ', which is no call to this number' AS says
    FROM corrections AS c
    WHERE NOT EXISTS (
        FROM corrected AS k
        WHERE 'call/' || k.call_id = c.reverses AND k.service_number = c.service_number
    )
),
charged AS (
    SELECT call, customer_id, sum(amount) AS amount, max(place) AS place
    FROM (
        SELECT reverses AS call, customer_id, amount, seq AS place FROM corrections
        UNION ALL
        SELECT 'call/' || call_id AS call, customer_id, owner_fee AS amount, -1 AS place FROM corrected
    )
    GROUP BY ALL
),
payers AS (
    SELECT
        max(place) AS place,
        call AS named,
        'was re-rated to ' || string_agg(customer_id || ' ' || amount, ', ' ORDER BY customer_id)
        || ': at most one pays a call, and nobody less than nothing' AS says
    FROM charged
    GROUP BY call
    HAVING min(amount) < 0 OR count(*) FILTER (WHERE amount <> 0) > 1
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
SELECT * FROM payers
UNION ALL
SELECT
    seq AS place,
    'row ' || seq || ' of events' AS named,
    'says that ' || service_number || ' was re-rated by ' || coalesce(CAST(said AS VARCHAR), 'nothing')
    || ', its postings come to ' || posted AS says
FROM sums
WHERE posted IS DISTINCT FROM said
