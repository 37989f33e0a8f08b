-- Compute cards as they are now: the amount left on each, its expiry, and the price paid for the part
-- that was spent, since a card may have been bought for less than its face value.
-- @observes cards
-- @param account only this account, or all
-- @column account {zh=账户} the account's name
-- @column title {zh=名称} its name
-- @column card_no {zh=卡号尾号} the last characters of its number
-- @column bound_at {zh=绑定时间, instant} when it was bound to the account, UTC
-- @column expires_at {zh=到期时间, instant} when it expires, UTC
-- @column face_yuan {zh=面额, unit=yuan, total} face value
-- @column sale_yuan {zh=售价, unit=yuan, total} what was paid for it
-- @column left_yuan {zh=余额, unit=yuan, total} what is left on it
-- @column spent_yuan {zh=已用, unit=yuan, total} what was spent of it
-- @column spent_cost_yuan {zh=已用成本, unit=yuan, total} the spent part at the price paid for the card
-- @column state {zh=状态} valid, used up or expired
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
        -- whole numbers would leave 64 bits, and a face of less than a fen would be zero
        THEN ROUND(
            1.0 * (face_amount_microcny - leave_amount_microcny) / face_amount_microcny
            * sale_price_microcny / {FEN}
        ) / 100.0
    END AS spent_cost_yuan,
    CASE
        WHEN NOT is_valid THEN 'expired'
        WHEN leave_amount_microcny = 0 THEN 'used up'
        ELSE 'valid'
    END AS state
FROM card_now
WHERE account_chosen(account)
ORDER BY expires_s, account, uuid
