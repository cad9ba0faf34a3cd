-- Every input that was not charged, its latest attempt only (R-INV-1): an attempt that a later row names as the
-- one it retries, or that has a younger sibling, is history.
CREATE VIEW uncharged AS
WITH last_retry AS (
    SELECT retries AS first_seq, max(seq) AS last_seq
    FROM calls_rows
    WHERE retries IS NOT NULL
    GROUP BY retries
),
call_records AS (
    SELECT
        'call' AS input, outcome, call_id, CAST(NULL AS VARCHAR) AS command_id, CAST(NULL AS VARCHAR) AS kind,
        reason, detail, raw, source, source_pos, received_at, service_number, start_at, duplicate_of, retries, seq
    FROM calls_rows AS c
    WHERE outcome IN ('duplicate', 'rejected')
        AND NOT EXISTS (FROM last_retry AS r WHERE r.first_seq = c.seq)
        AND NOT EXISTS (FROM last_retry AS r WHERE r.first_seq = c.retries AND r.last_seq > c.seq)
),
commands AS (
    SELECT
        'command' AS input, outcome, CAST(NULL AS VARCHAR) AS call_id, command_id, kind,
        reason, detail, raw, source, source_pos, received_at, CAST(NULL AS VARCHAR) AS service_number,
        CAST(NULL AS TIMESTAMPTZ) AS start_at, CAST(NULL AS BIGINT) AS duplicate_of,
        CAST(NULL AS BIGINT) AS retries, seq
    FROM events_rows
    WHERE outcome IN ('duplicate', 'rejected')
),
inputs AS (
    SELECT * FROM call_records
    UNION ALL
    SELECT * FROM commands
)
SELECT inputs.*, reasons.what_to_do
FROM inputs
LEFT JOIN reasons ON reasons.reason = inputs.reason;

CREATE VIEW duplicates AS
SELECT * EXCLUDE (outcome) FROM uncharged WHERE outcome = 'duplicate';

CREATE VIEW rejects AS
SELECT * EXCLUDE (outcome) FROM uncharged WHERE outcome = 'rejected';

COMMENT ON VIEW uncharged IS 'A row is an input that was not charged, a duplicate or a reject: its latest attempt.';
COMMENT ON VIEW duplicates IS 'A row is a call record or command whose id came before; charged or done once (R-INV-6).';
COMMENT ON VIEW rejects IS 'A row is a call record or command that could not be taken in; hidden once a retry of it is in the ledger.';
COMMENT ON COLUMN uncharged.outcome IS 'duplicate or rejected.';
COMMENT ON COLUMN uncharged.input IS 'call or command.';
COMMENT ON COLUMN uncharged.call_id IS 'The call''s id as far as it could be read; null for commands.';
COMMENT ON COLUMN uncharged.command_id IS 'The command''s id as far as it could be read; null for calls.';
COMMENT ON COLUMN uncharged.kind IS 'The command''s kind as far as it could be read; null for calls.';
COMMENT ON COLUMN uncharged.reason IS 'Why, from the closed list (see the view reasons).';
COMMENT ON COLUMN uncharged.detail IS 'The sentence that says what was wrong, with which value.';
COMMENT ON COLUMN uncharged.raw IS 'The bytes as they came in.';
COMMENT ON COLUMN uncharged.source IS 'The file or topic that it came from.';
COMMENT ON COLUMN uncharged.source_pos IS 'Where in the source it began: byte, row or offset.';
COMMENT ON COLUMN uncharged.received_at IS 'When it arrived here.';
COMMENT ON COLUMN uncharged.service_number IS 'The number that was dialled, as far as it could be read.';
COMMENT ON COLUMN uncharged.start_at IS 'When the call started, as far as it could be read.';
COMMENT ON COLUMN uncharged.duplicate_of IS 'For a call: the seq of the row in calls that stands (F-10, F-11).';
COMMENT ON COLUMN uncharged.retries IS 'For a call: the seq of the reject that this attempt took up again.';
COMMENT ON COLUMN uncharged.seq IS 'Its place in its table: call records and commands are numbered apart.';
COMMENT ON COLUMN uncharged.what_to_do IS 'What mends the cause.';

COMMENT ON COLUMN duplicates.input IS 'call or command.';
COMMENT ON COLUMN duplicates.call_id IS 'The call''s id as far as it could be read; null for commands.';
COMMENT ON COLUMN duplicates.command_id IS 'The command''s id as far as it could be read; null for calls.';
COMMENT ON COLUMN duplicates.kind IS 'The command''s kind as far as it could be read; null for calls.';
COMMENT ON COLUMN duplicates.reason IS 'Why, from the closed list (see the view reasons).';
COMMENT ON COLUMN duplicates.detail IS 'The sentence that says what was wrong, with which value.';
COMMENT ON COLUMN duplicates.raw IS 'The bytes as they came in.';
COMMENT ON COLUMN duplicates.source IS 'The file or topic that it came from.';
COMMENT ON COLUMN duplicates.source_pos IS 'Where in the source it began: byte, row or offset.';
COMMENT ON COLUMN duplicates.received_at IS 'When it arrived here.';
COMMENT ON COLUMN duplicates.service_number IS 'The number that was dialled, as far as it could be read.';
COMMENT ON COLUMN duplicates.start_at IS 'When the call started, as far as it could be read.';
COMMENT ON COLUMN duplicates.duplicate_of IS 'For a call: the seq of the row in calls that stands (F-10, F-11).';
COMMENT ON COLUMN duplicates.retries IS 'For a call: the seq of the reject that this attempt took up again.';
COMMENT ON COLUMN duplicates.seq IS 'Its place in its table: call records and commands are numbered apart.';
COMMENT ON COLUMN duplicates.what_to_do IS 'What mends the cause.';
COMMENT ON COLUMN rejects.input IS 'call or command.';
COMMENT ON COLUMN rejects.call_id IS 'The call''s id as far as it could be read; null for commands.';
COMMENT ON COLUMN rejects.command_id IS 'The command''s id as far as it could be read; null for calls.';
COMMENT ON COLUMN rejects.kind IS 'The command''s kind as far as it could be read; null for calls.';
COMMENT ON COLUMN rejects.reason IS 'Why, from the closed list (see the view reasons).';
COMMENT ON COLUMN rejects.detail IS 'The sentence that says what was wrong, with which value.';
COMMENT ON COLUMN rejects.raw IS 'The bytes as they came in.';
COMMENT ON COLUMN rejects.source IS 'The file or topic that it came from.';
COMMENT ON COLUMN rejects.source_pos IS 'Where in the source it began: byte, row or offset.';
COMMENT ON COLUMN rejects.received_at IS 'When it arrived here.';
COMMENT ON COLUMN rejects.service_number IS 'The number that was dialled, as far as it could be read.';
COMMENT ON COLUMN rejects.start_at IS 'When the call started, as far as it could be read.';
COMMENT ON COLUMN rejects.duplicate_of IS 'For a call: the seq of the row in calls that stands (F-10, F-11).';
COMMENT ON COLUMN rejects.retries IS 'For a call: the seq of the reject that this attempt took up again.';
COMMENT ON COLUMN rejects.seq IS 'Its place in its table: call records and commands are numbered apart.';
COMMENT ON COLUMN rejects.what_to_do IS 'What mends the cause.';
