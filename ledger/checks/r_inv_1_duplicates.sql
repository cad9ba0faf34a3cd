-- R-INV-1: a duplicate names the rated row before it that has the same call_id and stands.
WITH repeated AS (
    SELECT seq, duplicate_of, call_id FROM calls_rows WHERE outcome = 'duplicate' AND duplicate_of IS NOT NULL
),
standing AS (
    SELECT seq, outcome, call_id FROM calls_rows WHERE seq IN (SELECT duplicate_of FROM repeated)
),
judged AS (
    SELECT
        r.seq,
        r.duplicate_of,
        CASE
            WHEN s.seq IS NULL THEN 'which is not there'
            WHEN s.seq >= r.seq THEN 'which is not before it'
            WHEN s.outcome <> 'rated' THEN 'which is ' || s.outcome
            WHEN s.call_id IS DISTINCT FROM r.call_id THEN 'which has another call_id'
        END AS fault
    FROM repeated AS r
    LEFT JOIN standing AS s ON s.seq = r.duplicate_of
)
SELECT
    seq AS place,
    'row ' || seq || ' of calls' AS named,
    'repeats row ' || duplicate_of || ', ' || fault AS says
FROM judged
WHERE fault IS NOT NULL
