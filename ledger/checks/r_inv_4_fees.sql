-- R-INV-4, R-CALL-3, R-CALL-5: a fee is rate x billed seconds / 60, half up to 0.0001, in whole numbers. The owner
-- of an 800 number pays the caller's leg too, by the started minute; a 95 number's rate is 0.
WITH exact AS (
    SELECT
        seq,
        call_id,
        owner_fee,
        (duration_s + 59) // 60 AS started_min,
        CAST(owner_fee * 10000 AS BIGINT) AS fee,
        (2 * CAST(rate * 10000 AS BIGINT) * billed_s + 60) // 120 AS owner_leg,
        service_number
    FROM calls_rows
    WHERE outcome = 'rated'
)
SELECT
    seq AS place,
    'row ' || seq || ' of calls' AS named,
    'the call ' || call_id || ' costs ' || owner_fee || ' and its owner''s leg comes to '
    || CAST(CAST(owner_leg AS DECIMAL(14, 0)) * CAST(0.0001 AS DECIMAL(4, 4)) AS DECIMAL(18, 4)) AS says
FROM exact
WHERE fee <> owner_leg
    AND NOT coalesce(
        starts_with(service_number, '800') AND fee > owner_leg AND (fee - owner_leg) % nullif(started_min, 0) = 0,
        false
    )
