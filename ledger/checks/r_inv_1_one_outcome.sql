-- R-INV-1: a call record is rated, with its payer, price and fee; or it is a duplicate or rejected, with its
-- reason, a sentence and its bytes.
WITH judged AS (
    SELECT
        seq,
        CASE
            WHEN outcome = 'rated' THEN CASE
                WHEN call_id IS NULL OR service_number IS NULL OR start_at IS NULL OR end_at IS NULL
                    THEN 'is rated without an id, a number or its times'
                WHEN customer_id IS NULL OR provider_id IS NULL THEN 'is rated and nobody pays for it'
                WHEN rate IS NULL OR owner_fee IS NULL OR duration_s IS NULL OR billed_s IS NULL
                    THEN 'is rated without a rate, a fee or its seconds'
                WHEN reason IS NOT NULL OR detail IS NOT NULL OR raw IS NOT NULL OR duplicate_of IS NOT NULL
                    THEN 'is rated and has what only other rows have: a reason, raw bytes or the row it repeats'
            END
            WHEN outcome IN ('duplicate', 'rejected') THEN CASE
                WHEN reason IS NULL OR detail IS NULL OR raw IS NULL
                    THEN 'is ' || outcome || ' without its reason, sentence or bytes'
                WHEN reason NOT IN (SELECT r.reason FROM reasons AS r) THEN 'has the unknown reason ' || reason
                WHEN (outcome = 'duplicate') <> (reason IN ('DUPLICATE', 'CONFLICTING_DUPLICATE'))
                    THEN 'is ' || outcome || ' for the reason ' || reason
                WHEN (outcome = 'duplicate') <> (duplicate_of IS NOT NULL)
                    THEN 'is ' || outcome || CASE WHEN duplicate_of IS NULL THEN ' of no row' ELSE ' and repeats a row' END
                WHEN customer_id IS NOT NULL OR rate IS NOT NULL OR owner_fee IS NOT NULL
                    THEN 'is ' || outcome || ' and has a payer, a rate or a fee'
            END
            ELSE 'has the outcome ' || coalesce(outcome, 'null')
        END AS says
    FROM calls_rows
)
SELECT seq AS place, 'row ' || seq || ' of calls' AS named, says FROM judged WHERE says IS NOT NULL
