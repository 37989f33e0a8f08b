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
    ON is_day_of_line(d, b)
JOIN account a ON a.account_id = b.account_id
WHERE b.superseded_at IS NULL
