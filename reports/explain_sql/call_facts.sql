-- What held for a number at an instant, by the catalogue of so many events: of each facet the entry with the
-- greatest (from_at, seq) that had begun, with the event that it came from.
WITH facts AS (
    SELECT
        seq, command_id, kind, "at",
        unnest(range(1, len(c_number) + 1)) AS place,
        unnest(c_number) AS service_number,
        unnest(c_facet) AS facet,
        unnest(c_from_at) AS from_at,
        unnest(c_value) AS value,
        unnest(c_customer_id) AS customer_id,
        unnest(c_plan_id) AS plan_id,
        unnest(c_rate) AS rate,
        unnest(c_increment_s) AS increment_s
    FROM events_rows
    WHERE outcome = 'accepted' AND seq < $events_seq AND list_contains(c_number, $service_number)
)
SELECT facet, seq, command_id, kind, "at", from_at, value, customer_id, plan_id, rate, increment_s
FROM facts
WHERE service_number = $service_number AND from_at <= $start_at
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY from_at DESC, seq DESC, place DESC) = 1
