-- The lines of the bill that were charged in the period, as the source lists them, the oldest first.
-- @zh 期内扣费的账单行，最早的在前。
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day on which they were charged
-- @param to_day the last
-- @column account {zh=账户} the account's name | 账户名称
-- @column day {zh=日期, day} when it was charged | 扣费日
-- @column order_number {zh=订单号} the source's order | 云平台的订单号
-- @column settle_start_at {zh=结算开始, instant} start of the window that it settles, UTC | 结算时段的开始
-- @column settle_end_at {zh=结算结束, instant} its end, UTC | 结算时段的结束
-- @column channel {zh=支付方式} balance or card | 余额或算力卡
-- @column amount_yuan {zh=金额, unit=yuan, total} charged | 扣费
-- @column state {zh=状态} awaiting confirmation: no longer listed by the source, counts until a second whole reading lacks it too; else empty | 待确认：云平台已不再列出，再完整读取一次后不再计入；否则为空
-- @column remark {zh=备注} the source's words | 云平台的文字
SELECT
    b.account,
    b.day,
    b.order_number,
    b.settle_start_at,
    b.settle_end_at,
    channel_name(b.charge_channel) AS channel,
    yuan(b.amount_microcny) AS amount_yuan,
    CASE WHEN b.missing_since IS NOT NULL THEN 'awaiting confirmation' END AS state,
    b.remark
FROM bill_line b
WHERE in_period(b.day)
    AND account_chosen(b.account)
ORDER BY b.settle_end_at, b.settle_start_at, b.account, b.order_number, b.charge_channel, b.remark, b.line_no
