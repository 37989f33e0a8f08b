-- Balance by day: what was left at the end of each day (today: now), in cash and on compute cards, and
-- what came and went. Days on which it was not asked for are left out.
-- @zh 每日日终的余额和算力卡，以及当日的收支。
-- @observes balance
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column day {zh=日期, day} day of the reporting time zone | 报表时区的日期
-- @column account {zh=账户} the account's name | 账户名称
-- @column closing_yuan {zh=余额, unit=yuan} cash at the end of the day | 日终现金余额
-- @column card_closing_yuan {zh=算力卡, unit=yuan} on cards at the end of the day | 日终算力卡余额
-- @column recharged_yuan {zh=充值, unit=yuan, total} paid in | 充值
-- @column billed_yuan {zh=余额支付, unit=yuan, total} charged to the balance | 由余额支付
-- @column card_billed_yuan {zh=算力卡支付, unit=yuan, total} charged to cards | 由算力卡支付
-- @column unexplained_yuan {zh=差异, unit=yuan, total} what does not add up in cash; empty: the opening is not known | 现金的差异；空：期初未知
SELECT
    day,
    account,
    closing_yuan,
    card_closing_yuan,
    yuan(recharged_microcny) AS recharged_yuan,
    yuan(billed_microcny) AS billed_yuan,
    yuan(card_billed_microcny) AS card_billed_yuan,
    yuan(unexplained_microcny) AS unexplained_yuan
FROM balance_daily
WHERE in_period(day) AND account_chosen(account)
ORDER BY day, account
