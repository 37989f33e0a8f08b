-- Compute cards as they were at the end of a day, by default as they are now: the amount left on each, its
-- expiry, and the price paid for the part that was spent, since a card may have been bought for less
-- than its face value.
-- @observes cards
-- @param account only this account, or all
-- @param to_day the day at whose end they are shown
-- @column account {text} the account's name
-- @column title {text} its name
-- @column card_no {text} the last characters of its number
-- @column bound_at {instant} when it was bound to the account, UTC
-- @column expires_at {instant, keep} when it expires, UTC
-- @column face_yuan {unit=yuan, total} face value
-- @column sale_yuan {unit=yuan, total} what was paid for it
-- @column left_yuan {unit=yuan, total, keep} what is left on it
-- @column spent_yuan {unit=yuan, total} what was spent of it
-- @column spent_cost_yuan {unit=yuan, total} the spent part at the price paid for the card
-- @column state {text} valid, used up or expired
SELECT
    account,
    title,
    card_no,
    bind_time AS bound_at,
    expire_date AS expires_at,
    face_yuan,
    sale_yuan,
    left_yuan,
    yuan(face_amount_microcny - leave_amount_microcny) AS spent_yuan,
    CASE
        WHEN face_amount_microcny > 0
        -- by hundredths of a millionth, so that half a fen is rounded up although `long_share` cuts off
        THEN (
            long_share(
                100 * sale_price_microcny,
                first_of(face_amount_microcny - leave_amount_microcny, face_amount_microcny),
                second_of(face_amount_microcny - leave_amount_microcny, face_amount_microcny)
            ) + 50 * {FEN} + 2
        ) / (100 * {FEN}) / 100.0
    END AS spent_cost_yuan,
    CASE
        WHEN expire_date <= earlier(polled_at, period_ends_at()) THEN 'expired'
        WHEN leave_amount_microcny = 0 THEN 'used up'
        ELSE 'valid'
    END AS state
FROM _card_version
WHERE account_chosen(account)
    AND first_seen_at < period_ends_at() AND (ended_at IS NULL OR ended_at >= period_ends_at())
ORDER BY expire_date, account, uuid
