-- Any movement of money: what calls cost, and the postings. Calls of 0 move nothing.
CREATE VIEW movements AS
SELECT
    start_at AS "at",
    month,
    billed_month,
    'call' AS kind,
    'customer/' || customer_id || '/usage' AS debit,
    'platform/revenue/calls' AS credit,
    owner_fee AS amount,
    call_id AS ref,
    service_number,
    customer_id,
    provider_id
FROM billed_rows
WHERE outcome = 'rated' AND owner_fee > 0
UNION ALL
SELECT
    "at",
    month,
    month AS billed_month,
    kind,
    debit,
    credit,
    amount,
    posting_id AS ref,
    service_number,
    customer_id,
    provider_id
FROM postings;

COMMENT ON VIEW movements IS 'A row is a movement of money, calls included: every yuan leaves one account and comes to another (R-INV-2).';
COMMENT ON COLUMN movements.at IS 'When it happened: the start of the call, or the instant of the posting''s event.';
COMMENT ON COLUMN movements.month IS 'The month of the call, or the month that the posting is billed to.';
COMMENT ON COLUMN movements.billed_month IS 'The month whose statement it is on (R-CALL-8).';
COMMENT ON COLUMN movements.kind IS 'call, or the posting''s kind.';
COMMENT ON COLUMN movements.debit IS 'The account that the amount leaves.';
COMMENT ON COLUMN movements.credit IS 'The account that the amount comes to.';
COMMENT ON COLUMN movements.amount IS 'Yuan, above zero.';
COMMENT ON COLUMN movements.ref IS 'The call_id or the posting_id.';
COMMENT ON COLUMN movements.service_number IS 'The number that it is about; null if about none.';
COMMENT ON COLUMN movements.customer_id IS 'The customer that it is about; null if about a provider alone.';
COMMENT ON COLUMN movements.provider_id IS 'The provider that it is about.';
