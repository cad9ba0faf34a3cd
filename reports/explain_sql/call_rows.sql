-- Every row that a call id has, in the order in which they came, and for a rated one the month it is billed to.
SELECT
    seq, outcome, reason, detail, service_number, customer_id, provider_id, caller_number, caller_area, start_at, answer_at,
    end_at, month, duration_s, billed_s, rate, owner_fee, caller_estimate, tags, answering_phone, answer_rule, raw, source,
    source_pos, received_at, retries, duplicate_of, events_seq,
    CASE WHEN outcome = 'rated' THEN billed_month_of(month, seq) END AS billed_month
FROM calls_rows
WHERE call_id = $call_id
ORDER BY seq
