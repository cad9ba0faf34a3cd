-- What a provider was registered with, and why it may do nothing more: each cause until its own end.
CREATE VIEW providers AS
WITH told AS (
    SELECT seq, kind, "at", command_id, CAST(effect AS JSON) AS effect
    FROM events_rows
    WHERE outcome = 'accepted'
        AND kind IN ('register_provider', 'suspect_fraud', 'clear_suspicion', 'declare_serious', 'fine_overdue')
),
closings AS (
    SELECT effect ->> '$.provider_id' AS provider_id, 'fraud' AS cause, "at"
    FROM told AS suspected
    WHERE kind = 'suspect_fraud' AND NOT EXISTS (
        FROM told AS cleared
        WHERE cleared.kind = 'clear_suspicion' AND cleared.seq > suspected.seq
            AND cleared.effect ->> '$.service_number' = suspected.effect ->> '$.service_number'
    )
    UNION ALL
    SELECT effect ->> '$.provider_id', 'serious', "at" FROM told WHERE kind = 'declare_serious'
    UNION ALL
    SELECT told.effect ->> '$.provider_id', 'fine', told."at"
    FROM told
    JOIN fines ON fines.fine_id = told.effect ->> '$.fine_id'
    WHERE told.kind = 'fine_overdue' AND fines.state <> 'reversed'
)
SELECT
    effect ->> '$.provider_id' AS provider_id,
    effect ->> '$.name' AS name,
    effect ->> '$.parent_id' AS parent_id,
    told."at" AS registered_at,
    min(closings."at") AS closed_at,
    string_agg(DISTINCT closings.cause, ', ' ORDER BY closings.cause) AS closed_for
FROM told
LEFT JOIN closings ON closings.provider_id = told.effect ->> '$.provider_id'
WHERE told.kind = 'register_provider'
GROUP BY ALL;

COMMENT ON VIEW providers IS 'A row is a provider.';
COMMENT ON COLUMN providers.provider_id IS 'Its id.';
COMMENT ON COLUMN providers.name IS 'Its name.';
COMMENT ON COLUMN providers.parent_id IS 'The provider above it, or platform.';
COMMENT ON COLUMN providers.registered_at IS 'Since when it is known.';
COMMENT ON COLUMN providers.closed_at IS 'Since when it may do nothing more; null while it is open.';
COMMENT ON COLUMN providers.closed_for IS 'Why: fraud (R-PEN-1), fine (R-PEN-4), serious (R-PEN-2); null while it is open.';
