-- R-INV-1: a retry names the rejected row before it that it tries again, and no other row names the same one.
WITH tries AS (
    SELECT seq, retries, call_id FROM calls_rows WHERE retries IS NOT NULL
),
named_rows AS (
    SELECT seq, outcome, call_id FROM calls_rows WHERE seq IN (SELECT retries FROM tries)
),
judged AS (
    SELECT
        t.seq,
        t.retries,
        CASE
            WHEN n.seq IS NULL THEN 'which is not there'
            WHEN n.seq >= t.seq THEN 'which is not before it'
            WHEN n.outcome <> 'rejected' THEN 'which is ' || n.outcome
            WHEN n.call_id IS DISTINCT FROM t.call_id THEN 'which has another call_id'
            WHEN count(*) OVER (PARTITION BY t.retries) > 1 THEN 'as another row does'
        END AS fault
    FROM tries AS t
    LEFT JOIN named_rows AS n ON n.seq = t.retries
)
SELECT
    seq AS place,
    'row ' || seq || ' of calls' AS named,
    'retries row ' || retries || ', ' || fault AS says
FROM judged
WHERE fault IS NOT NULL
