-- R-INV-4, R-CALL-3, R-CALL-5: a fee is rate x billed seconds / 60, half up to 0.0001, in whole numbers. The owner
-- of an 800 number pays the caller's leg too, by the started minute; of a 95 number nothing.
WITH exact AS (
    SELECT
        seq,
        call_id,
        owner_fee,
        duration_s,
        CAST(owner_fee * 10000 AS BIGINT) AS fee,
        (2 * CAST(rate * 10000 AS BIGINT) * billed_s + 60) // 120 AS owner_leg,
        left(service_number, 2) AS begins
    FROM calls_rows
    WHERE outcome = 'rated'
),
judged AS (
    SELECT
        seq,
        call_id,
        owner_fee,
        owner_leg,
        CASE
            WHEN begins = '80' THEN fee < owner_leg OR coalesce((fee - owner_leg) % nullif((duration_s + 59) // 60, 0), fee) <> 0
            WHEN begins = '95' THEN fee <> 0
            ELSE fee <> owner_leg
        END AS is_wrong
    FROM exact
)
SELECT
    seq AS place,
    'row ' || seq || ' of calls' AS named,
    'the call ' || call_id || ' costs ' || owner_fee || ' and its owner''s leg comes to '
    || CAST(owner_leg AS DECIMAL(18, 0)) * CAST(0.0001 AS DECIMAL(4, 4)) AS says
FROM judged
WHERE is_wrong
