-- Compute cards as they were at the end of a day, by default as they are now: the amount left on each, its
-- expiry, and the price paid for the part that was spent, since a card may have been bought for less
-- than its face value.
-- @zh 算力卡在所选日期结束时（默认为当前）的状态：余额、到期时间，以及已用部分的购买成本。
-- @observes cards
-- @param account only this account, or all
-- @param to_day the day at whose end they are shown
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} its name | 卡名
-- @column card_no {zh=卡号尾号} the last characters of its number | 卡号末几位
-- @column bound_at {zh=绑定时间, instant} when it was bound to the account, UTC | 绑定到账户的时间
-- @column expires_at {zh=到期时间, instant} when it expires, UTC | 到期时间
-- @column face_yuan {zh=面额, unit=yuan, total} face value | 面额
-- @column sale_yuan {zh=售价, unit=yuan, total} what was paid for it | 购买价
-- @column left_yuan {zh=余额, unit=yuan, total} what is left on it | 卡上余额
-- @column spent_yuan {zh=已用, unit=yuan, total} what was spent of it | 已消费的金额
-- @column spent_cost_yuan {zh=已用成本, unit=yuan, total} the spent part at the price paid for the card | 已用部分按购买价折算的成本
-- @column state {zh=状态} valid, used up or expired | 有效、已用完或已过期
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
