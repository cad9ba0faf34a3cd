-- Top callers' areas
-- Where the month's callers called from: calls, answered ones, minutes, yuan and the share of all calls.
-- $month: the month of the calls' start, such as 2026-10
-- $top = 20: how many areas
WITH by_area AS (
    SELECT
        caller_area,
        count(*) AS calls,
        count(answer_at) AS answered,
        sum(billed_min) AS billed_min,
        sum(owner_fee) AS yuan
    FROM calls
    WHERE month = $month
    GROUP BY caller_area
),
shared AS (
    -- whole thousandths until the end: a division would be a binary fraction
    SELECT by_area.*, (calls * 2000 + sum(calls) OVER ()) // (2 * sum(calls) OVER ()) AS thousandths
    FROM by_area
)
SELECT
    caller_area,
    areas.name AS area,
    calls,
    answered,
    CAST(billed_min AS DECIMAL(18, 4)) AS billed_min,
    CAST(yuan AS DECIMAL(18, 4)) AS yuan,
    CAST(CAST(thousandths AS DECIMAL(9, 0)) * CAST(0.1 AS DECIMAL(2, 1)) AS DECIMAL(5, 1)) AS percent_of_calls
FROM shared
LEFT JOIN areas ON areas.code = shared.caller_area
ORDER BY calls DESC, caller_area
LIMIT CAST($top AS BIGINT)
