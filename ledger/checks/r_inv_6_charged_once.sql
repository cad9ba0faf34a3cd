-- R-INV-6: a call id is charged once. `suspects` holds the hashes of ids that are charged more than once; the ids
-- themselves decide. (Beyond the window for late calls an id may come again as a call of another month.)
WITH again AS (
    SELECT
        call_id,
        seq,
        CAST(left(month, 4) AS INTEGER) * 12 + CAST(right(month, 2) AS INTEGER) AS month,
        date_part('year', received_at) * 12 + date_part('month', received_at) AS arrived
    FROM calls_rows
    WHERE outcome = 'rated' AND hash(call_id) IN (SELECT mark FROM suspects)
),
pairs AS (
    SELECT later.seq, later.call_id, min(earlier.seq) AS first
    FROM again AS earlier
    JOIN again AS later ON later.call_id = earlier.call_id AND later.seq > earlier.seq
    WHERE later.arrived - earlier.month <= window_months() OR later.month = earlier.month
    GROUP BY ALL
)
SELECT
    seq AS place,
    'row ' || seq || ' of calls' AS named,
    'charges the call ' || call_id || ' again, after row ' || first AS says
FROM pairs
