-- Alerts are events first: what was published is what stands here.
CREATE VIEW alerts AS
WITH sent AS (
    SELECT "at", seq, CAST(effect AS JSON) AS effect
    FROM events_rows
    WHERE kind = 'alert' AND outcome = 'accepted'
)
SELECT
    effect ->> '$.alert_id' AS alert_id,
    "at",
    effect ->> '$.account' AS account,
    effect ->> '$.kind' AS kind,
    CAST(effect ->> '$.balance' AS DECIMAL(18, 4)) AS balance,
    seq,
    CAST(effect ->> '$.episode' AS BIGINT) AS episode,
    CAST(effect ->> '$.since' AS TIMESTAMPTZ) AS since,
    effect ->> '$.service_number' AS service_number
FROM sent;

COMMENT ON VIEW alerts IS 'A row is an alert that was sent: a crossing of an account''s balance or a date that came (R-ARR-1).';
COMMENT ON COLUMN alerts.alert_id IS 'Made of account, kind and episode: a repeat has the same id.';
COMMENT ON COLUMN alerts.at IS 'When what it tells of happened.';
COMMENT ON COLUMN alerts.account IS 'customer/ or provider/ and its id.';
COMMENT ON COLUMN alerts.kind IS 'low_balance, arrears, suspended, frozen, long_arrears, cleared, renewal_due or documents_due.';
COMMENT ON COLUMN alerts.balance IS 'The account''s balance then, in yuan.';
COMMENT ON COLUMN alerts.seq IS 'The seq of its event; the order in which alerts were decided.';
COMMENT ON COLUMN alerts.episode IS 'How often this account has had this kind, from 1; null where it has no episodes.';
COMMENT ON COLUMN alerts.since IS 'Since when the account is, or was, in arrears; null where it is not about arrears.';
COMMENT ON COLUMN alerts.service_number IS 'The number that it is about; null if about the account.';

-- How an account stands: the last of its alerts about arrears, unless that cleared them (R-ARR-2).
CREATE VIEW standings AS
WITH last_alert AS (
    SELECT
        account,
        max({'seq': seq, 'kind': kind, 'at': "at"}) AS last,
        max({'seq': seq, 'since': since}) FILTER (WHERE kind = 'arrears') AS crossing
    FROM alerts
    WHERE kind IN ('arrears', 'suspended', 'frozen', 'long_arrears', 'cleared')
    GROUP BY account
)
SELECT
    account,
    crossing.since AS since,
    last.kind AS stage,
    last.at AS last_alert_at
FROM last_alert
WHERE last.kind <> 'cleared';

COMMENT ON VIEW standings IS 'A row is an account that alerts say is in arrears.';
COMMENT ON COLUMN standings.account IS 'customer/ or provider/ and its id.';
COMMENT ON COLUMN standings.since IS 'When its balance fell below zero.';
COMMENT ON COLUMN standings.stage IS 'The last step: arrears, suspended, frozen or long_arrears.';
COMMENT ON COLUMN standings.last_alert_at IS 'When that step came.';
