-- The lines of the bill that were charged in the period, as the source lists them, the oldest first.
-- @observes bills
-- @param account only this account, or all
-- @param from_day first day on which they were charged
-- @param to_day the last
-- @column account {text} the account's name
-- @column day {day} when it was charged
-- @column order_number {text} the source's order
-- @column settle_start_at {instant} start of the window that it settles, UTC
-- @column settle_end_at {instant} its end, UTC
-- @column channel {text} balance or card
-- @column amount_yuan {unit=yuan, total, keep} charged
-- @column state {text} awaiting confirmation: no longer listed by the source, counts until a second whole reading lacks it too; else empty
-- @column remark {text} the source's words
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
