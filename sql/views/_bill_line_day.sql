-- Every line of the bill, cut into the days that it settles, with the day of its charge; but for those that
-- the source corrected.
-- @column account the account's name
-- @column day a day that it settles
-- @column charged_day the day of its charge
-- @column amount_microcny the part of its amount that falls into the day
SELECT
    a.name AS account,
    b.account_id,
    d.day,
    b.charged_day,
    d.amount_microcny
FROM bill b
JOIN bill_day d
    ON d.account_id = b.account_id AND d.order_number = b.order_number
    AND d.settle_start_at = b.settle_start_at AND d.settle_end_at = b.settle_end_at
    AND d.charge_channel = b.charge_channel AND d.remark = b.remark AND d.line_no = b.line_no
JOIN account a ON a.account_id = b.account_id
WHERE b.superseded_at IS NULL
