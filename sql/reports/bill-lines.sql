-- The lines of the bill that were charged in the period, as the source lists them, the oldest first.
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day on which they were charged
-- @param to_day the last
-- @column account {zh=账户} the account's name
-- @column day {zh=日期, day} when it was charged
-- @column order_number {zh=订单号} the source's order
-- @column settle_start_at {zh=结算开始, instant} start of the window that it settles, UTC
-- @column settle_end_at {zh=结算结束, instant} its end, UTC
-- @column channel {zh=支付方式} balance or card
-- @column amount_yuan {zh=金额, unit=yuan, total} charged
-- @column remark {zh=备注} the source's words
SELECT
    b.account,
    b.day,
    b.order_number,
    b.settle_start_at,
    b.settle_end_at,
    channel_name(b.charge_channel) AS channel,
    yuan(b.amount_microcny) AS amount_yuan,
    b.remark
FROM bill_line b
WHERE in_period(b.day)
    AND account_chosen(b.account)
ORDER BY b.settle_end_at, b.settle_start_at, b.account, b.order_number, b.charge_channel, b.remark, b.line_no
