-- R-INV-6: a command id is accepted once, and so is each decision of our own.
WITH counted AS (
    SELECT command_id, payload IS NULL AS is_ours, count(*) AS times, min(seq) AS first, max(seq) AS last
    FROM events_rows
    WHERE outcome = 'accepted'
    GROUP BY ALL
)
SELECT
    last AS place,
    'row ' || last || ' of events' AS named,
    'accepts ' || command_id || ' again, after row ' || first AS says
FROM counted
WHERE times > 1
