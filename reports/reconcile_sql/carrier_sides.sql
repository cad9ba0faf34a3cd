-- Both lists in one shape: theirs as they were read, ours with a margin for clocks that differ.
CREATE TABLE theirs AS
SELECT
    line,
    service_number,
    caller_number,
    TRY_CAST(start_at AS TIMESTAMPTZ) AS start_at,
    CASE WHEN TRY_CAST(duration_s AS BIGINT) >= 0 THEN TRY_CAST(duration_s AS BIGINT) END AS duration_s,
    TRY_CAST(replace(amount, ',', '') AS DECIMAL(18, 4)) AS amount
FROM their_lines;

CREATE TABLE ours AS
SELECT
    seq,
    call_id,
    service_number,
    CASE WHEN caller_number = '' THEN NULL ELSE caller_number END AS caller_number,
    start_at,
    duration_s,
    customer_id,
    rate,
    owner_fee,
    month
FROM calls
WHERE month BETWEEN strftime($from_at - INTERVAL 1 DAY, '%Y-%m') AND $month
    AND start_at >= $from_at - to_seconds($tolerance_s)
    AND start_at < $until_at + to_seconds($tolerance_s);

-- Most lines are alike to the last digit, and are paired in order where several are.
CREATE TABLE pairs AS
WITH theirs_numbered AS (
    SELECT *, row_number() OVER (PARTITION BY service_number, start_at, caller_number, duration_s ORDER BY line) AS place
    FROM theirs
    WHERE caller_number IS NOT NULL AND duration_s IS NOT NULL
),
ours_numbered AS (
    SELECT *, row_number() OVER (PARTITION BY service_number, start_at, caller_number, duration_s ORDER BY seq) AS place
    FROM ours
)
SELECT t.line, o.seq
FROM theirs_numbered AS t
JOIN ours_numbered AS o USING (service_number, start_at, caller_number, duration_s, place);
