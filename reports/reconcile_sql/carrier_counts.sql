SELECT
    (SELECT count(*) FROM theirs) AS lines,
    (SELECT count(*) FROM theirs WHERE start_at < $from_at OR start_at >= $until_at) AS other_months,
    (SELECT count(*) FROM ours WHERE month = $month) AS calls,
    (SELECT count(*) FROM pairs JOIN ours USING (seq) WHERE month = $month) AS pairs
