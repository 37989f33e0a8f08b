-- Every line of the bill, but for those that the source corrected.
-- @column account the account's name
-- @column day day of the reporting time zone in which it was charged
-- @column amount_microcny charged; millionths of a yuan
-- @column amount_yuan charged, yuan
-- @column settle_start_local settle_start_at by the clocks of the reporting time zone
-- @column settle_end_local settle_end_at by the clocks of the reporting time zone
-- @column ordered_local ordered_at by the clocks of the reporting time zone
-- @column missing_since since when the source no longer lists it: the line counts until a second whole reading confirms that; null: listed
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
    b.changed_at,
    yuan(b.amount_microcny) AS amount_yuan,
    local_of(epoch(b.settle_start_at)) AS settle_start_local,
    local_of(epoch(b.settle_end_at)) AS settle_end_local,
    local_of(epoch(b.ordered_at)) AS ordered_local,
    periods_of(b.charged_day),
    b.missing_since
FROM bill b
JOIN account a ON a.account_id = b.account_id
WHERE b.superseded_at IS NULL
