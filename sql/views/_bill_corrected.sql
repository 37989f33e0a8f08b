-- What corrections took from the bill of a day: lines that the source took back, as far as they settle the
-- day, less the lines that came in their place. In place of a line came those that the reading that first
-- lacked it brought for the same time.
-- @column corrected_microcny below 0 if more came than went; millionths of a yuan
SELECT account_id, day, sum_of(amount_microcny) AS corrected_microcny
FROM (
    -- a superseded line has no parts by day any more
    SELECT
        s.account_id,
        c.day,
        amount_within(s.amount_microcny, s.starts_s, s.ends_s, c.starts_s, c.ends_s) AS amount_microcny
    FROM (
        SELECT
            account_id, amount_microcny, epoch(settle_start_at) AS starts_s, epoch(settle_end_at) AS ends_s
        FROM bill
        WHERE superseded_at IS NOT NULL
    ) s
    JOIN calendar_day c ON c.ends_s > s.starts_s AND c.starts_s <= s.ends_s
    UNION ALL
    SELECT p.account_id, p.day, -p.amount_microcny
    FROM (
        SELECT DISTINCT
            n.account_id, n.order_number, n.settle_start_at, n.settle_end_at, n.charge_channel, n.remark,
            n.line_no
        FROM bill s
        JOIN bill n
            ON n.account_id = s.account_id AND n.first_seen_at = s.missing_since
            AND n.settle_start_at <= s.settle_end_at AND n.settle_end_at >= s.settle_start_at
        WHERE s.superseded_at IS NOT NULL AND n.superseded_at IS NULL
    ) n
    JOIN bill_day p
        ON is_day_of_line(p, n)
) parts
GROUP BY account_id, day
