-- R-CALL-3: a call has a rate that its number has had, and its seconds are rounded up to that rate's increment.
-- Calls are looked at one by one only where number and rate as a whole cannot clear them.
WITH facts AS (
    SELECT
        unnest(c_number) AS service_number,
        unnest(c_facet) AS facet,
        unnest(c_rate) AS rate,
        unnest(c_increment_s) AS increment_s
    FROM events_rows
    WHERE outcome = 'accepted'
),
prices AS (
    SELECT DISTINCT
        service_number,
        CASE WHEN starts_with(service_number, '95') THEN 0 ELSE rate END AS rate,
        increment_s
    FROM facts
    WHERE facet = 'rate'
),
rated AS (
    SELECT seq, call_id, service_number, rate, duration_s, billed_s FROM calls_rows WHERE outcome = 'rated'
),
used AS (
    SELECT DISTINCT service_number, rate FROM rated
),
misfits AS (
    SELECT DISTINCT service_number, rate, increment_s
    FROM rated, (SELECT DISTINCT increment_s FROM prices)
    WHERE (duration_s + increment_s - 1) // increment_s * increment_s <> billed_s
),
suspects AS (
    SELECT service_number, rate
    FROM used
    WHERE NOT EXISTS (
        FROM prices AS p
        ANTI JOIN misfits USING (service_number, rate, increment_s)
        WHERE p.service_number = used.service_number AND p.rate = used.rate
    )
)
SELECT
    c.seq AS place,
    'row ' || c.seq || ' of calls' AS named,
    'the call ' || c.call_id || ' has ' || c.duration_s || ' s billed as ' || c.billed_s || ' s at ' || c.rate
    || ', which is no price of ' || c.service_number AS says
FROM rated AS c
SEMI JOIN suspects USING (service_number, rate)
WHERE NOT EXISTS (
    FROM prices AS p
    WHERE p.service_number = c.service_number
        AND p.rate = c.rate
        AND (c.duration_s + p.increment_s - 1) // p.increment_s * p.increment_s = c.billed_s
)
