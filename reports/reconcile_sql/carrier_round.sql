-- Each call takes the other list's nearest, of the same number (and caller, where both lists name one) and within
-- the tolerance; two that take each other are a pair. What is left over is asked again, until nobody is.
INSERT INTO pairs
WITH left_theirs AS (
    SELECT * FROM theirs
    WHERE start_at IS NOT NULL AND duration_s IS NOT NULL AND NOT EXISTS (FROM pairs WHERE pairs.line = theirs.line)
),
left_ours AS (
    SELECT * FROM ours WHERE NOT EXISTS (FROM pairs WHERE pairs.seq = ours.seq)
),
-- a call stands in its slot of time and is looked for in that and the two beside it
slots AS (
    SELECT *, epoch_us(start_at) // ($tolerance_us + 1) + unnest([-1, 0, 1]) AS slot FROM left_theirs
),
candidates AS (
    SELECT
        t.line,
        o.seq,
        abs(epoch_us(t.start_at) - epoch_us(o.start_at)) AS apart_us,
        abs(t.duration_s - o.duration_s) AS longer_s,
        t.caller_number IS NOT DISTINCT FROM o.caller_number AS same_caller
    FROM slots AS t
    JOIN left_ours AS o
        ON o.service_number = t.service_number AND epoch_us(o.start_at) // ($tolerance_us + 1) = t.slot
    WHERE (t.caller_number IS NULL OR o.caller_number IS NULL OR t.caller_number = o.caller_number)
        AND abs(epoch_us(t.start_at) - epoch_us(o.start_at)) <= $tolerance_us
),
chosen AS (
    SELECT
        line,
        seq,
        row_number() OVER (PARTITION BY line ORDER BY same_caller DESC, longer_s, apart_us, seq) AS of_line,
        row_number() OVER (PARTITION BY seq ORDER BY same_caller DESC, longer_s, apart_us, line) AS of_seq
    FROM candidates
)
SELECT line, seq FROM chosen WHERE of_line = 1 AND of_seq = 1
