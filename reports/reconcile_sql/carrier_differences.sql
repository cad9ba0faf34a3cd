-- What differs, in yuan at our price: what they have and we do not was perhaps not charged, and the other way.
WITH priced AS (
    SELECT service_number, rate, coalesce(increment_s, 60) AS increment_s FROM numbers
),
not_ours AS (
    SELECT theirs.* FROM theirs
    WHERE NOT EXISTS (FROM pairs WHERE pairs.line = theirs.line)
        AND start_at >= $from_at AND start_at < $until_at AND duration_s > 0
),
refused AS (
    -- why the record that they mean was not charged, if it came at all
    SELECT n.line, min(u.reason) AS reason
    FROM not_ours AS n
    JOIN uncharged AS u
        ON u.service_number = n.service_number AND u.input = 'call' AND u.outcome = 'rejected'
        AND abs(epoch_us(u.start_at) - epoch_us(n.start_at)) <= $tolerance_us
    GROUP BY n.line
),
differences AS (
    SELECT
        'unreadable' AS finding, line, CAST(NULL AS VARCHAR) AS call_id, service_number, start_at, duration_s AS their_s,
        CAST(NULL AS BIGINT) AS our_s, amount AS their_yuan, CAST(NULL AS DECIMAL(18, 4)) AS our_yuan,
        CAST(NULL AS DECIMAL(18, 4)) AS worth_yuan, CAST(NULL AS VARCHAR) AS customer_id, 'number, time or duration' AS note
    FROM theirs
    WHERE service_number IS NULL OR start_at IS NULL OR duration_s IS NULL
    UNION ALL
    SELECT
        'only_theirs', n.line, NULL, n.service_number, n.start_at, n.duration_s, NULL, n.amount, NULL,
        fee_of(p.rate, n.duration_s, p.increment_s), NULL,
        CASE WHEN refused.reason IS NOT NULL THEN 'rejected here: ' || refused.reason
             WHEN p.service_number IS NULL THEN 'the number is unknown here' ELSE '' END
    FROM not_ours AS n
    LEFT JOIN priced AS p USING (service_number)
    LEFT JOIN refused USING (line)
    WHERE n.service_number IS NOT NULL
    UNION ALL
    SELECT
        'only_ours', NULL, o.call_id, o.service_number, o.start_at, NULL, o.duration_s, NULL, o.owner_fee, -o.owner_fee,
        o.customer_id, ''
    FROM ours AS o
    WHERE o.month = $month AND o.duration_s > 0 AND NOT EXISTS (FROM pairs WHERE pairs.seq = o.seq)
    UNION ALL
    SELECT
        'duration', t.line, o.call_id, o.service_number, o.start_at, t.duration_s, o.duration_s, t.amount, o.owner_fee,
        fee_of(o.rate, t.duration_s, coalesce(p.increment_s, 60)) - o.owner_fee, o.customer_id, ''
    FROM pairs
    JOIN theirs AS t USING (line)
    JOIN ours AS o USING (seq)
    LEFT JOIN priced AS p ON p.service_number = o.service_number
    WHERE o.month = $month AND abs(t.duration_s - o.duration_s) > $duration_tolerance_s
)
SELECT finding, line, call_id, service_number, start_at, their_s, our_s, their_yuan, our_yuan, worth_yuan, customer_id, note
FROM differences
ORDER BY finding, start_at, service_number, line, call_id
