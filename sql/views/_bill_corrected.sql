-- What corrections took from the bill of a day: lines that the source took back, as far as they settle the
-- day, less the lines that came in their place. In place of a line came those that the reading that first
-- lacked it brought for the same time.
-- @column corrected_microcny below 0 if more came than went; millionths of a yuan
WITH taken AS MATERIALIZED (
    -- kept apart: there are few, and SQLite would begin with all parts of the bill
    SELECT
        account_id, amount_microcny, missing_since, settle_start_at, settle_end_at,
        epoch(settle_start_at) AS starts_s, epoch(settle_end_at) AS ends_s
    FROM bill
    WHERE superseded_at IS NOT NULL
),
brought AS MATERIALIZED (
    SELECT
        n.account_id, n.order_number, n.settle_start_at, n.settle_end_at, n.charge_channel, n.remark,
        n.line_no
    FROM bill n
    WHERE n.superseded_at IS NULL AND n.first_seen_at IN (SELECT missing_since FROM taken)
        AND EXISTS (
            SELECT 1 FROM taken t
            WHERE t.account_id = n.account_id AND t.missing_since = n.first_seen_at
                AND t.settle_start_at <= n.settle_end_at AND t.settle_end_at >= n.settle_start_at
        )
)
SELECT account_id, day, sum_of(amount_microcny) AS corrected_microcny
FROM (
    -- a superseded line has no parts by day any more
    SELECT
        t.account_id,
        c.day,
        amount_within(t.amount_microcny, t.starts_s, t.ends_s, c.starts_s, c.ends_s) AS amount_microcny
    FROM taken t
    CROSS JOIN calendar_day c
    WHERE c.ends_s > t.starts_s AND c.starts_s <= t.ends_s
    UNION ALL
    SELECT p.account_id, p.day, -p.amount_microcny
    FROM brought n
    CROSS JOIN bill_day p
    WHERE is_day_of_line(p, n)
) parts
GROUP BY account_id, day
