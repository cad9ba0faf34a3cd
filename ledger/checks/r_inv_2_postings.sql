-- R-INV-2: a posting takes an amount above zero from one account and gives it to another; what an event says of
-- its postings and changes is complete.
WITH lengths AS (
    SELECT
        seq,
        [len(p_kind), len(p_month), len(p_debit), len(p_credit), len(p_amount), len(p_service_number),
            len(p_customer_id), len(p_provider_id), len(p_reverses), len(p_reason)] AS of_postings,
        [len(c_number), len(c_facet), len(c_from_at), len(c_until_at), len(c_value), len(c_customer_id),
            len(c_provider_id), len(c_plan_id), len(c_rate), len(c_minimum), len(c_increment_s)] AS of_changes
    FROM events_rows
),
incomplete AS (
    SELECT seq AS place, 'row ' || seq || ' of events' AS named, 'has postings or changes with a part missing' AS says
    FROM lengths
    WHERE list_min(of_postings) <> list_max(of_postings) OR list_min(of_changes) <> list_max(of_changes)
),
judged AS (
    SELECT
        seq,
        posting_id,
        CASE
            WHEN kind IS NULL OR month IS NULL THEN 'has no kind or no month'
            WHEN debit IS NULL OR credit IS NULL THEN 'lacks an account'
            WHEN debit = credit THEN 'goes from ' || debit || ' to itself'
            WHEN amount IS NULL THEN 'has no amount'
            WHEN amount <= 0 THEN 'moves ' || amount
            WHEN NOT regexp_matches(debit, '^(customer|provider|platform)/.') OR NOT regexp_matches(credit, '^(customer|provider|platform)/.')
                THEN 'goes from ' || debit || ' to ' || credit
        END AS says
    FROM posted
)
SELECT * FROM incomplete
UNION ALL
SELECT seq AS place, 'posting ' || posting_id AS named, says FROM judged WHERE says IS NOT NULL
