-- Every call that was rated, charged or not (an unanswered call is rated at 0).
-- Plain columns of the stored rows only, so that a predicate on `month` leaves whole files unread and one on
-- `service_number` whole row groups. So does one on `billed_month`, but for the files that hold late calls.
CREATE VIEW calls AS
SELECT
    call_id,
    service_number,
    customer_id,
    provider_id,
    caller_number,
    caller_area,
    start_at,
    answer_at,
    end_at,
    month,
    billed_month,
    duration_s,
    billed_s,
    -- whole numbers until the end: a decimal divided by 60 would be a binary fraction
    CAST(CAST((billed_s * 10000 + 30) // 60 AS DECIMAL(14, 0)) * CAST(0.0001 AS DECIMAL(4, 4)) AS DECIMAL(18, 4))
        AS billed_min,
    rate,
    owner_fee,
    caller_estimate,
    tags,
    answering_phone,
    answer_rule,
    recording_ref,
    extra,
    source,
    source_pos,
    received_at,
    retries,
    events_seq,
    seq
FROM billed_rows
WHERE outcome = 'rated';

COMMENT ON VIEW calls IS 'A row is a rated call (R-CALL-3, R-CALL-7). A late fact never edits it: see postings of kind rerating.';
COMMENT ON COLUMN calls.call_id IS 'The id that the switch gave the call; charged once (R-INV-6).';
COMMENT ON COLUMN calls.service_number IS 'The 400 number that was dialled, ten digits.';
COMMENT ON COLUMN calls.customer_id IS 'Who held the number when the call started, and pays for it (F-07).';
COMMENT ON COLUMN calls.provider_id IS 'The provider of that customer when the call started.';
COMMENT ON COLUMN calls.caller_number IS 'The caller''s number as normalised digits; null if withheld.';
COMMENT ON COLUMN calls.caller_area IS 'The caller''s area code, such as 0531.';
COMMENT ON COLUMN calls.start_at IS 'When the call started; rate and month go by it (R-CALL-8).';
COMMENT ON COLUMN calls.answer_at IS 'When it was answered; null if it was not.';
COMMENT ON COLUMN calls.end_at IS 'When it ended.';
COMMENT ON COLUMN calls.month IS 'The Shanghai month of start_at, such as 2026-11: the month whose minimum it counts for. Filter by it: other months'' files are then not read.';
COMMENT ON COLUMN calls.billed_month IS 'The month whose statement it is on: month, or the next one to close if it came late (R-CALL-8). Revenue goes by it.';
COMMENT ON COLUMN calls.duration_s IS 'Answered seconds.';
COMMENT ON COLUMN calls.billed_s IS 'Answered seconds rounded up to the plan''s increment.';
COMMENT ON COLUMN calls.billed_min IS 'billed_s in minutes, to 0.0001.';
COMMENT ON COLUMN calls.rate IS 'Yuan a minute at start_at.';
COMMENT ON COLUMN calls.owner_fee IS 'Yuan charged to the customer: rate times billed_s by 60, half up to 0.0001 (R-CALL-3).';
COMMENT ON COLUMN calls.caller_estimate IS 'What the caller''s own carrier will probably charge the caller, in yuan; never our receivable, null if unknown (R-CALL-1, R-CALL-2).';
COMMENT ON COLUMN calls.tags IS 'What is worth noticing, such as outside_mainland, suspended or frozen.';
COMMENT ON COLUMN calls.answering_phone IS 'The phone that answered.';
COMMENT ON COLUMN calls.answer_rule IS 'How the switch chose it: sequential, random, round_robin, by_time or by_area (R-NUM-8).';
COMMENT ON COLUMN calls.recording_ref IS 'Where the recording is, as the switch names it.';
COMMENT ON COLUMN calls.extra IS 'Fields of the record that rating does not know, as JSON; null if none.';
COMMENT ON COLUMN calls.source IS 'The file or topic that the record came from.';
COMMENT ON COLUMN calls.source_pos IS 'Where in the source it began: byte, row or offset.';
COMMENT ON COLUMN calls.received_at IS 'When it arrived here (F-01).';
COMMENT ON COLUMN calls.retries IS 'The seq of the reject that this row took in again; null for a first attempt.';
COMMENT ON COLUMN calls.events_seq IS 'How many rows of events the catalogue knew that priced it.';
COMMENT ON COLUMN calls.seq IS 'Its place in the table of call records; dense over calls, duplicates and rejects together.';
