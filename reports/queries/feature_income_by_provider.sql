-- Feature income by provider
-- What providers were charged for features, and what was given back of it (disputes, reversals).
-- $month: the billed month, such as 2026-10
WITH providers AS (
    SELECT
        CAST(effect AS JSON) ->> '$.provider_id' AS provider_id,
        any_value(CAST(effect AS JSON) ->> '$.name') AS name
    FROM events
    WHERE kind = 'register_provider' AND outcome = 'accepted'
    GROUP BY ALL
),
moved AS (
    SELECT
        p.provider_id,
        coalesce(original.reason, p.reason) AS feature,
        p.kind = 'feature_fee' AS charged,
        p.amount
    FROM postings AS p
    LEFT JOIN postings AS original ON original.posting_id = p.reverses
    WHERE p.month = $month AND (p.credit = 'platform/revenue/features' OR p.debit = 'platform/revenue/features')
)
SELECT
    provider_id,
    providers.name,
    feature,
    count(*) FILTER (WHERE charged) AS fees,
    CAST(coalesce(sum(amount) FILTER (WHERE charged), 0) AS DECIMAL(18, 4)) AS charged_yuan,
    CAST(coalesce(sum(amount) FILTER (WHERE NOT charged), 0) AS DECIMAL(18, 4)) AS given_back_yuan
FROM moved
LEFT JOIN providers USING (provider_id)
GROUP BY provider_id, providers.name, feature
ORDER BY provider_id, charged_yuan DESC, feature
