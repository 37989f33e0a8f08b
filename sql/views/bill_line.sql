-- Every line of the bill, but for those that the source corrected.
-- @column account the account's name
-- @column day day of the reporting time zone in which it was charged
-- @column amount_microcny charged; millionths of a yuan
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
    b.ordered_at,
    b.first_seen_at,
    b.changed_at
FROM bill b
JOIN account a ON a.account_id = b.account_id
WHERE b.superseded_at IS NULL
