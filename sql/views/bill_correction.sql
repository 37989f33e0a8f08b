-- Lines of the bill that no longer count: the source replaced them by other lines, or took them back.
-- No other view contains them.
-- @column account the account's name
-- @column day day of the reporting time zone in which it was charged
-- @column amount_microcny the amount of the line; millionths of a yuan
-- @column amount_yuan the amount of the line, yuan
SELECT
    a.name AS account,
    b.charged_day AS day,
    b.order_number,
    b.settle_start_at,
    b.settle_end_at,
    b.charge_channel,
    b.remark,
    b.line_no,
    b.amount_microcny,
    yuan(b.amount_microcny) AS amount_yuan,
    b.first_seen_at,
    b.superseded_at,
    periods_of(b.charged_day)
FROM bill b
JOIN account a ON a.account_id = b.account_id
WHERE b.superseded_at IS NOT NULL
