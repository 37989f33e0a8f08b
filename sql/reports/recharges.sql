-- Recharges of the balance in the period, the oldest first. Those that were ordered and are not paid are
-- no money: they have a column of their own, and are in no other sum.
-- @zh 期内的充值，最早的在前。已下单未支付的不算收入，单列一栏。
-- @observes recharges
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column day {zh=日期, day} when it was paid, or ordered if it is not | 支付日；未支付的为下单日
-- @column paid_at {zh=支付时间, instant} time of payment to the second, UTC; empty: not paid | 支付时间，精确到秒；空：未支付
-- @column recharge_id {zh=充值单号} the source's number, or a hash if it gives none | 云平台的单号；没有时为哈希
-- @column pay_channel {zh=支付渠道} the source's word for how it was paid | 云平台给出的支付方式
-- @column amount_yuan {zh=金额, unit=yuan, total} paid in | 充入金额
-- @column unpaid_yuan {zh=未支付, unit=yuan, total} ordered, and not paid | 已下单未支付的金额
SELECT account, day, paid_at, recharge_id, pay_channel, amount_yuan, unpaid_yuan
FROM (
    SELECT account, day, paid_at, paid_s AS at_s, recharge_id, pay_channel, amount_yuan, NULL AS unpaid_yuan
    FROM recharge_daily
    UNION ALL
    SELECT account, day, NULL, ordered_s, recharge_id, pay_channel, NULL, amount_yuan
    FROM _recharge_unpaid
) lines
WHERE in_period(day)
    AND account_chosen(account)
ORDER BY at_s, account, recharge_id
