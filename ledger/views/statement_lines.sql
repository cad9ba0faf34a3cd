-- What changed somebody's balance, as their statement shows it: a charge is above zero, what is in their favour
-- below. Settlement moves money inside one customer and is no line. So the lines of all months together are the
-- balance with its sign turned.
CREATE VIEW statement_lines AS
WITH call_lines AS (
    SELECT
        billed_month AS month,
        'customer/' || customer_id AS account,
        provider_id,
        service_number,
        'call' AS kind,
        'minute' AS unit,
        sum(billed_min) AS quantity,
        count(*) AS entries,
        sum(owner_fee) AS amount
    FROM calls
    GROUP BY billed_month, customer_id, provider_id, service_number
),
posted AS (
    SELECT
        unnest(p_month) AS month,
        unnest(p_kind) AS kind,
        unnest(p_customer_id) AS customer_id,
        unnest(p_provider_id) AS provider_id,
        unnest(p_service_number) AS service_number,
        unnest(p_debit) AS debit,
        unnest(p_credit) AS credit,
        unnest(p_amount) AS amount
    FROM events_rows
    WHERE outcome = 'accepted'
),
-- whose each side is: a posting names the customer and the provider that its accounts belong to
sides AS (
    SELECT
        month,
        kind,
        provider_id,
        service_number,
        CASE
            WHEN starts_with(debit, 'customer/') THEN 'customer/' || customer_id
            WHEN starts_with(debit, 'provider/') THEN 'provider/' || provider_id
        END AS debtor,
        CASE
            WHEN starts_with(credit, 'customer/') THEN 'customer/' || customer_id
            WHEN starts_with(credit, 'provider/') THEN 'provider/' || provider_id
        END AS creditor,
        amount
    FROM posted
),
touched AS (
    SELECT
        month, kind, provider_id, service_number,
        unnest([debtor, creditor]) AS account,
        unnest([amount, -amount]) AS amount
    FROM sides
    WHERE debtor IS DISTINCT FROM creditor
),
posting_lines AS (
    SELECT
        month,
        account,
        provider_id,
        service_number,
        kind,
        'posting' AS unit,
        count(*) AS quantity,
        count(*) AS entries,
        sum(amount) AS amount
    FROM touched
    WHERE account IS NOT NULL
    GROUP BY month, account, provider_id, service_number, kind
),
lines AS (
    SELECT * FROM call_lines
    UNION ALL
    SELECT * FROM posting_lines
)
SELECT
    month,
    CASE WHEN starts_with(account, 'customer/') THEN split_part(account, '/', 2) END AS customer_id,
    service_number,
    kind,
    CAST(quantity AS DECIMAL(18, 4)) AS quantity,
    CAST(amount AS DECIMAL(18, 4)) AS amount,
    unit,
    entries,
    account,
    provider_id,
    concat_ws('/', month, account, coalesce(provider_id, '-'), coalesce(service_number, '-'), kind) AS line_id
FROM lines;

COMMENT ON VIEW statement_lines IS 'A row is a line of a statement (R-ARR-4): what one kind of charge or payment came to for one number in one month. Settlement is no line, for it moves money inside a customer only.';
COMMENT ON COLUMN statement_lines.month IS 'The month of the statement: the billed month (R-CALL-8).';
COMMENT ON COLUMN statement_lines.customer_id IS 'The customer whose statement it is on; null on a provider''s.';
COMMENT ON COLUMN statement_lines.service_number IS 'The number that it is about; null if about none.';
COMMENT ON COLUMN statement_lines.kind IS 'call, or the postings'' kind.';
COMMENT ON COLUMN statement_lines.quantity IS 'Billed minutes for calls, else how many postings.';
COMMENT ON COLUMN statement_lines.amount IS 'Yuan: a charge is above zero; payments, paid plan fees and what is given back are below.';
COMMENT ON COLUMN statement_lines.unit IS 'What quantity counts: minute or posting.';
COMMENT ON COLUMN statement_lines.entries IS 'How many calls or postings the line sums up.';
COMMENT ON COLUMN statement_lines.account IS 'Whose statement it is on: customer/ or provider/ and its id.';
COMMENT ON COLUMN statement_lines.provider_id IS 'The provider of the number or customer, or the one whose statement it is.';
COMMENT ON COLUMN statement_lines.line_id IS 'Names the line: month, account, provider, number and kind.';
