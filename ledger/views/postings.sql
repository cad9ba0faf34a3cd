-- Postings live in the row of the event that caused them, as parallel lists: a posting is one place in them.
CREATE VIEW postings AS
WITH in_place AS (
    SELECT
        seq,
        command_id,
        kind AS event_kind,
        "at",
        unnest(range(1, len(p_kind) + 1)) AS place,
        unnest(p_kind) AS kind,
        unnest(p_month) AS month,
        unnest(p_debit) AS debit,
        unnest(p_credit) AS credit,
        unnest(p_amount) AS amount,
        unnest(p_service_number) AS service_number,
        unnest(p_customer_id) AS customer_id,
        unnest(p_provider_id) AS provider_id,
        unnest(p_reverses) AS reverses,
        unnest(p_reason) AS reason
    FROM events_rows
    WHERE outcome = 'accepted' AND len(p_kind) > 0
)
SELECT
    seq || '-' || place AS posting_id,
    "at",
    month,
    kind,
    debit,
    credit,
    amount,
    service_number,
    customer_id,
    provider_id,
    reverses,
    reason,
    command_id,
    event_kind,
    seq
FROM in_place;

COMMENT ON VIEW postings IS 'A row is a movement of money that is not a call''s (R-INV-2): it leaves debit and comes to credit.';
COMMENT ON COLUMN postings.posting_id IS 'The seq of its event and its place there, such as 812-1.';
COMMENT ON COLUMN postings.at IS 'When it happened: the instant of its event.';
COMMENT ON COLUMN postings.month IS 'The month that it is billed to.';
COMMENT ON COLUMN postings.kind IS 'Such as plan_fee, payment, minimum_top_up or settlement.';
COMMENT ON COLUMN postings.debit IS 'The account that the amount leaves.';
COMMENT ON COLUMN postings.credit IS 'The account that the amount comes to.';
COMMENT ON COLUMN postings.amount IS 'Yuan, above zero.';
COMMENT ON COLUMN postings.service_number IS 'The number that it is about; null if about none.';
COMMENT ON COLUMN postings.customer_id IS 'The customer that it is about; null if about a provider alone.';
COMMENT ON COLUMN postings.provider_id IS 'The provider that it is about.';
COMMENT ON COLUMN postings.reverses IS 'What it corrects: a posting_id, or call/ and a call_id (R-INV-3).';
COMMENT ON COLUMN postings.reason IS 'Why, or the reference that came with it.';
COMMENT ON COLUMN postings.command_id IS 'The id of the event that caused it.';
COMMENT ON COLUMN postings.event_kind IS 'The kind of that event.';
COMMENT ON COLUMN postings.seq IS 'The seq of that event.';
