-- R-INV-1: an event is accepted, with its instant; or it is a duplicate, refused or rejected, with its reason, a
-- sentence and its bytes, and moves nothing.
WITH judged AS (
    SELECT
        seq,
        CASE
            WHEN outcome = 'accepted' THEN CASE
                WHEN command_id IS NULL OR kind IS NULL OR "at" IS NULL THEN 'is accepted without an id, a kind or its instant'
                WHEN reason IS NOT NULL OR raw IS NOT NULL THEN 'is accepted and has a reason or raw bytes'
                WHEN effect IS NOT NULL AND NOT json_valid(effect) THEN 'has an effect that is not JSON'
                WHEN payload IS NOT NULL AND NOT json_valid(payload) THEN 'has a payload that is not JSON'
            END
            WHEN outcome IN ('duplicate', 'refused', 'rejected') THEN CASE
                WHEN reason IS NULL OR detail IS NULL OR raw IS NULL
                    THEN 'is ' || outcome || ' without its reason, sentence or bytes'
                WHEN reason NOT IN (SELECT r.reason FROM reasons AS r) THEN 'has the unknown reason ' || reason
                WHEN len(p_kind) > 0 OR len(c_number) > 0 OR effect IS NOT NULL
                    THEN 'is ' || outcome || ' and yet moves money or changes a number'
            END
            ELSE 'has the outcome ' || coalesce(outcome, 'null')
        END AS says
    FROM events_rows
)
SELECT seq AS place, 'row ' || seq || ' of events' AS named, says FROM judged WHERE says IS NOT NULL
