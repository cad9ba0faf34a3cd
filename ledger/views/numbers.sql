-- The catalogue's changes resolved at the connection's time: of each facet the entry with the greatest
-- (from_at, seq) that has begun holds, and a state whose end has come is free. A class is not dated.
CREATE VIEW numbers AS
WITH changes AS (
    SELECT
        seq,
        unnest(range(1, len(c_number) + 1)) AS place,
        unnest(c_number) AS service_number,
        unnest(c_facet) AS facet,
        unnest(c_from_at) AS from_at,
        unnest(c_until_at) AS until_at,
        unnest(c_value) AS value,
        unnest(c_customer_id) AS customer_id,
        unnest(c_provider_id) AS provider_id,
        unnest(c_plan_id) AS plan_id,
        unnest(c_rate) AS rate,
        unnest(c_minimum) AS minimum,
        unnest(c_increment_s) AS increment_s
    FROM events_rows
    WHERE outcome = 'accepted' AND len(c_number) > 0
),
in_force AS (
    SELECT
        service_number,
        max({'from_at': from_at, 'seq': seq, 'place': place, 'value': value})
            FILTER (WHERE facet = 'class') AS class,
        max({'from_at': from_at, 'seq': seq, 'place': place, 'value': value, 'until_at': until_at})
            FILTER (WHERE facet = 'state') AS life,
        max({
            'from_at': from_at, 'seq': seq, 'place': place,
            'customer_id': customer_id, 'provider_id': provider_id, 'plan_id': plan_id
        }) FILTER (WHERE facet = 'holder') AS holder,
        max({'from_at': from_at, 'seq': seq, 'place': place, 'rate': rate, 'increment_s': increment_s})
            FILTER (WHERE facet = 'rate') AS price,
        max({'from_at': from_at, 'seq': seq, 'place': place, 'minimum': minimum})
            FILTER (WHERE facet = 'minimum') AS least,
        max({'from_at': from_at, 'seq': seq, 'place': place, 'value': value}) FILTER (WHERE facet = 'tag') AS tag
    FROM changes
    WHERE from_at <= ledger_now() OR facet = 'class'
    GROUP BY service_number
),
alive AS (
    SELECT
        *,
        coalesce(life.until_at <= ledger_now(), false) AS ended,
        CASE WHEN life.value IS NULL OR ended THEN 'free' ELSE life.value END AS state,
        CASE WHEN ended THEN life.until_at ELSE life.from_at END AS state_since,
        state NOT IN ('free', 'held', 'reclaimed') AS contracted
    FROM in_force
)
SELECT
    service_number,
    class.value AS number_class,
    state,
    CASE WHEN contracted THEN holder.customer_id END AS customer_id,
    CASE WHEN contracted OR state = 'held' THEN holder.provider_id END AS provider_id,
    CASE WHEN contracted THEN holder.plan_id END AS plan_id,
    CASE WHEN contracted THEN price.rate END AS rate,
    CASE WHEN contracted THEN least.minimum END AS minimum,
    CASE WHEN contracted THEN price.increment_s END AS increment_s,
    state_since,
    CASE WHEN state = 'held' THEN life.until_at END AS held_until,
    contracted AND tag.value IS NOT NULL AS restricted
FROM alive
WHERE class IS NOT NULL;

COMMENT ON VIEW numbers IS 'A row is a service number as it stands at the time of the question.';
COMMENT ON COLUMN numbers.service_number IS 'Ten digits.';
COMMENT ON COLUMN numbers.number_class IS 'ordinary, or the pattern of its last digits such as AAAA (R-NUM-6).';
COMMENT ON COLUMN numbers.state IS 'free, held, locked, documents_submitted, real_name_approved, active, suspended, frozen or reclaimed (R-NUM-1).';
COMMENT ON COLUMN numbers.customer_id IS 'Who holds it by contract; null without one.';
COMMENT ON COLUMN numbers.provider_id IS 'The provider of the contract, or who holds it without one; null if nobody.';
COMMENT ON COLUMN numbers.plan_id IS 'The plan of its contract.';
COMMENT ON COLUMN numbers.rate IS 'Yuan a minute.';
COMMENT ON COLUMN numbers.minimum IS 'The least it is charged for calls in a month, in yuan (R-MIN-1).';
COMMENT ON COLUMN numbers.increment_s IS 'What a call''s duration is rounded up to, in seconds.';
COMMENT ON COLUMN numbers.state_since IS 'Since when it is in this state.';
COMMENT ON COLUMN numbers.held_until IS 'When a hold ends by itself; null unless it is held.';
COMMENT ON COLUMN numbers.restricted IS 'True if the deadline of a re-verification was missed (R-NUM-3).';
