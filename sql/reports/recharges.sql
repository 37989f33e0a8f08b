-- Recharges of the balance in the period, the oldest first. Those that were ordered and are not paid are
-- no money: they have a column of their own, and are in no other sum.
-- @observes recharges
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column day {day} when it was paid, or ordered if it is not
-- @column paid_at {instant} time of payment to the second, UTC; empty: not paid
-- @column recharge_id {text} the source's number, or a hash if it gives none
-- @column pay_channel {text} the source's word for how it was paid
-- @column amount_yuan {unit=yuan, total} paid in
-- @column unpaid_yuan {unit=yuan, total} ordered, and not paid
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
