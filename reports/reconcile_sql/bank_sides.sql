-- Money that came to or left the bank, as the bank says and as we booked it within the days of its list. A payment that
-- was reversed was never there. Equal references and amounts are paired in order of time.
CREATE MACRO reference_key(said) AS
    coalesce(nullif(upper(regexp_replace(said, '[^0-9A-Za-z]', '', 'g')), ''), trim(coalesce(said, '')));

CREATE TABLE theirs AS
SELECT
    line,
    reference_key(reference) AS reference_key,
    reference,
    TRY_CAST(regexp_replace(amount, '[,¥￥ ]', '', 'g') AS DECIMAL(18, 4)) AS amount,
    TRY_CAST("at" AS TIMESTAMPTZ) AS "at"
FROM their_lines;

CREATE TABLE ours AS
WITH span AS (
    SELECT
        date_trunc('day', min("at")) AS from_at,
        date_trunc('day', max("at")) + INTERVAL 1 DAY AS until_at
    FROM theirs
),
reversed AS (SELECT reverses FROM postings WHERE kind = 'reversal' AND reverses IS NOT NULL)
SELECT
    posting_id,
    reference_key(reason) AS reference_key,
    reason AS reference,
    CASE WHEN debit = 'platform/bank' THEN amount ELSE -amount END AS amount,
    "at",
    CASE WHEN debit = 'platform/bank' THEN credit ELSE debit END AS account,
    kind
FROM postings, span
WHERE (debit = 'platform/bank' OR credit = 'platform/bank') AND kind <> 'reversal'
    AND NOT EXISTS (FROM reversed WHERE reversed.reverses = postings.posting_id)
    AND (span.from_at IS NULL OR ("at" >= span.from_at AND "at" < span.until_at));

CREATE TABLE agreed AS
WITH theirs_numbered AS (
    SELECT *, row_number() OVER (PARTITION BY reference_key, amount ORDER BY "at", line) AS place FROM theirs
),
ours_numbered AS (
    SELECT *, row_number() OVER (PARTITION BY reference_key, amount ORDER BY "at", posting_id) AS place FROM ours
)
SELECT t.line, o.posting_id
FROM theirs_numbered AS t
JOIN ours_numbered AS o USING (reference_key, amount, place)
