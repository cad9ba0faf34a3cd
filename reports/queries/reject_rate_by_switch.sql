-- Reject rate by switch
-- How many of the call records that arrived in the month were charged, came twice, or could not be taken in. A switch
-- is known by the name of its files up to the first digit.
-- $month: the month of arrival, such as 2026-10
WITH arrived AS (
    SELECT source, outcome, count(*) AS records
    FROM (
        SELECT source, 'rated' AS outcome, received_at FROM calls
        UNION ALL
        SELECT source, outcome, received_at FROM uncharged WHERE input = 'call'
    )
    WHERE received_at >= CAST($month || '-01' AS TIMESTAMPTZ)
        AND received_at < CAST($month || '-01' AS TIMESTAMPTZ) + INTERVAL 1 MONTH
    GROUP BY source, outcome
),
named AS (
    SELECT
        coalesce(nullif(rtrim(regexp_extract(source, '^[^0-9]*'), '-_.'), ''), source) AS switch,
        coalesce(sum(records), 0) AS records,
        coalesce(sum(records) FILTER (WHERE outcome = 'rated'), 0) AS rated,
        coalesce(sum(records) FILTER (WHERE outcome = 'duplicate'), 0) AS duplicates,
        coalesce(sum(records) FILTER (WHERE outcome = 'rejected'), 0) AS rejects
    FROM arrived
    GROUP BY ALL
)
SELECT
    switch,
    CAST(records AS BIGINT) AS records,
    CAST(rated AS BIGINT) AS rated,
    CAST(duplicates AS BIGINT) AS duplicates,
    CAST(rejects AS BIGINT) AS rejects,
    CAST(CAST((rejects * 20000 + records) // (2 * records) AS DECIMAL(9, 0)) * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(6, 2))
        AS percent_rejected
FROM named
ORDER BY percent_rejected DESC, switch
