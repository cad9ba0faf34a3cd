-- What several checks build on, gathered once: each reads the calls or unfolds the postings as a whole.

-- Calls that an event has seen: what follows from later ones is not decided yet.
CREATE TEMP TABLE followed AS
SELECT coalesce(max(calls_seq), 0) AS calls_seq FROM events_rows;

-- What rated calls cost, by who pays, for which number, in which month, billed to which month.
CREATE TEMP TABLE called AS
SELECT
    customer_id,
    service_number,
    month,
    billed_month_of(month, seq) AS billed_month,
    seq < (SELECT calls_seq FROM followed) AS is_followed,
    sum(owner_fee) AS amount
FROM calls_rows
WHERE outcome = 'rated'
GROUP BY ALL;

CREATE TEMP TABLE posted AS
SELECT posting_id, seq, event_kind, command_id, kind, month, debit, credit, amount, service_number, customer_id, reverses,
    reason
FROM postings;

-- Every posting as what it does to each of its two accounts.
CREATE TEMP VIEW legs AS
SELECT seq, posting_id, month, unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount FROM posted;

-- What re-ratings changed, as their events say, by number, payer and month: the calls, and (as `is_minimum`) what a
-- fact recorded late made of a closed month's minimum.
CREATE TEMP TABLE rerated AS
WITH effects AS (
    SELECT seq, TRY_CAST(effect AS JSON) AS effect FROM events_rows WHERE kind = 'rerate' AND outcome = 'accepted'
),
entries AS (
    SELECT seq, false AS is_minimum, unnest(from_json(effect -> '$.rerated', '[["VARCHAR"]]')) AS entry FROM effects
    UNION ALL
    SELECT seq, true AS is_minimum, unnest(from_json(effect -> '$.minimums', '[["VARCHAR"]]')) AS entry FROM effects
)
SELECT
    seq,
    is_minimum,
    entry[1] AS service_number,
    entry[2] AS customer_id,
    entry[3] AS month,
    TRY_CAST(entry[4] AS DECIMAL(18, 4)) AS amount
FROM entries;

-- Customers' closes.
CREATE TEMP TABLE closed AS
WITH effects AS (
    SELECT seq, calls_seq, TRY_CAST(effect AS JSON) AS effect
    FROM events_rows
    WHERE kind = 'close_customer' AND outcome = 'accepted'
)
SELECT
    seq,
    calls_seq,
    effect ->> '$.customer_id' AS customer_id,
    effect ->> '$.month' AS month,
    effect -> '$.closing' AS closing,
    effect -> '$.minimums' AS minimums
FROM effects;

-- How each number's minimum came out at its close (R-MIN-1).
CREATE TEMP TABLE workings AS
WITH entries AS (
    SELECT
        seq,
        customer_id,
        month,
        unnest(from_json(
            minimums,
            '[{"service_number": "VARCHAR", "calls": "VARCHAR", "minimum": "VARCHAR", "top_up": "VARCHAR"}]'
        )) AS entry
    FROM closed
)
SELECT
    seq,
    customer_id,
    month,
    entry.service_number AS service_number,
    TRY_CAST(entry.calls AS DECIMAL(18, 4)) AS calls,
    TRY_CAST(entry.minimum AS DECIMAL(18, 4)) AS minimum,
    TRY_CAST(entry.top_up AS DECIMAL(18, 4)) AS top_up
FROM entries;
