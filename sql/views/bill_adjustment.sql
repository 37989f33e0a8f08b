-- Lines of the bill that came, or changed, after their month was closed. Lines that were known then and
-- that the source has corrected since are listed with their amounts taken back. The month
-- is that of the last second of the settlement window, in the reporting time zone. The order of polls
-- decides if a line is late: only the source's clock counts.
-- @column account the account's name
-- @column month the closed month
-- @column amount_microcny charged, or below 0 taken back; millionths of a yuan
-- @column late_at end of the poll that brought the line, its change, or the second that lacked it
-- @column amount_yuan charged, yuan
SELECT
    a.name AS account,
    m.month,
    m.closed_at,
    b.order_number,
    b.settle_start_at,
    b.settle_end_at,
    b.charge_channel,
    b.remark,
    b.line_no,
    b.sign * b.amount_microcny AS amount_microcny,
    yuan(b.sign * b.amount_microcny) AS amount_yuan,
    b.late_at
FROM closed_month m
JOIN account a ON a.account_id = m.account_id
JOIN (
    SELECT l.*, 1 AS sign, l.changed_at AS late_at FROM bill l
    WHERE l.superseded_at IS NULL
    UNION ALL
    SELECT l.*, -1, l.superseded_at FROM bill l
    WHERE l.superseded_at IS NOT NULL
) b
    ON b.account_id = m.account_id AND b.late_at > m.bill_until
    -- only what was known then can be taken back: a line that came and went since changes nothing
    AND (b.sign = 1 OR b.first_seen_at <= m.bill_until)
JOIN calendar_day d
    ON d.starts_s < epoch(b.settle_end_at) AND d.ends_s >= epoch(b.settle_end_at)
WHERE d.month = m.month
