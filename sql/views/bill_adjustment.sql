-- Lines of the bill that came, or changed, after the month that they are about was closed. The month
-- is that of the last second of the settlement window, in the reporting time zone.
-- @column account the account's name
-- @column month the closed month
-- @column late_at end of the poll that brought the line, or its change
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
    b.amount_microcny,
    yuan(b.amount_microcny) AS amount_yuan,
    b.changed_at AS late_at
FROM closed_month m
JOIN account a ON a.account_id = m.account_id
JOIN bill b ON b.account_id = m.account_id AND b.changed_at > m.closed_at
JOIN calendar_day d
    ON d.starts_s < epoch(b.settle_end_at) AND d.ends_s >= epoch(b.settle_end_at)
WHERE d.month = m.month
