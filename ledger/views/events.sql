CREATE VIEW events AS
SELECT
    command_id,
    "at",
    kind,
    outcome,
    reason,
    detail,
    payload,
    effect,
    received_at,
    source,
    source_pos,
    seq,
    calls_seq
FROM events_rows;

COMMENT ON VIEW events IS 'A row is a business input with its outcome, or a decision of our own: an alert, a close, an adjustment.';
COMMENT ON COLUMN events.command_id IS 'The command''s id; our own decisions have one made of what they are about.';
COMMENT ON COLUMN events.at IS 'When it takes effect; null if it could not be read.';
COMMENT ON COLUMN events.kind IS 'Such as sign_contract, receive_payment, alert or close_month.';
COMMENT ON COLUMN events.outcome IS 'accepted, duplicate, refused (a rule said no) or rejected (unreadable).';
COMMENT ON COLUMN events.reason IS 'Why not, from the closed list (see the view reasons); null if accepted.';
COMMENT ON COLUMN events.detail IS 'The sentence that says by which value; if accepted null, or a warning.';
COMMENT ON COLUMN events.payload IS 'The command as it was given, as JSON without its id, time and kind.';
COMMENT ON COLUMN events.effect IS 'What was decided, as JSON.';
COMMENT ON COLUMN events.received_at IS 'When it arrived here.';
COMMENT ON COLUMN events.source IS 'The file or topic that it came from; null for our own decisions.';
COMMENT ON COLUMN events.source_pos IS 'Where in the source it began.';
COMMENT ON COLUMN events.seq IS 'Its place in the table of events, dense from 0.';
COMMENT ON COLUMN events.calls_seq IS 'How many call records the decision knew; a close covers those below it.';
