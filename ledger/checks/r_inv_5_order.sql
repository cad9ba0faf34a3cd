-- R-INV-5: each row has seen only what was there, and no event less than the one before it: what replay goes by.
WITH seen_events AS (
    SELECT seq, 'has seen ' || events_seq || ' events of ' || events_size() AS says
    FROM calls_rows
    WHERE events_seq < 0 OR events_seq > events_size()
),
ordered AS (
    SELECT seq, calls_seq, lag(calls_seq, 1, 0) OVER (ORDER BY seq) AS before FROM events_rows
),
seen_calls AS (
    SELECT
        seq,
        CASE
            WHEN calls_seq < before THEN 'has seen ' || calls_seq || ' calls, the event before it ' || before
            ELSE 'has seen ' || calls_seq || ' calls of ' || calls_size()
        END AS says
    FROM ordered
    WHERE calls_seq < before OR calls_seq > calls_size()
)
SELECT seq AS place, 'row ' || seq || ' of calls' AS named, says FROM seen_events
UNION ALL
SELECT seq AS place, 'row ' || seq || ' of events' AS named, says FROM seen_calls
