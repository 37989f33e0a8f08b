-- Recharges of the balance in the period, the oldest first.
-- @observes recharges
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name
-- @column day {zh=日期, day} when it was paid
-- @column paid_at {zh=支付时间, instant} time of payment to the second, UTC
-- @column recharge_id {zh=充值单号} the source's number, or a hash if it gives none
-- @column pay_channel {zh=支付渠道} the source's word for how it was paid
-- @column amount_yuan {zh=金额, unit=yuan, total} paid in
SELECT account, day, paid_at, recharge_id, pay_channel, amount_yuan
FROM recharge_daily
WHERE in_period(day)
    AND account_chosen(account)
ORDER BY paid_s, account, recharge_id
