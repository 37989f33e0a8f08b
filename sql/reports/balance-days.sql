-- Balance by day: what was left at the end of each day (today: now), in cash and on compute cards, and
-- what came and went. Days on which it was not asked for are left out.
-- @observes balance
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column day {day} day of the reporting time zone
-- @column account {text} the account's name
-- @column closing_yuan {unit=yuan} cash at the end of the day
-- @column card_closing_yuan {unit=yuan} on cards at the end of the day
-- @column recharged_yuan {unit=yuan, total} paid in
-- @column billed_yuan {unit=yuan, total} charged to the balance
-- @column card_billed_yuan {unit=yuan, total} charged to cards
-- @column unexplained_yuan {unit=yuan, total} what does not add up in cash; empty: the opening is not known
-- @column workflow_yuan {unit=yuan, total} what runs of workflows froze and took, less what they released; if no line of the bill has it, it is why something does not add up
SELECT
    day,
    account,
    closing_yuan,
    card_closing_yuan,
    yuan(recharged_microcny) AS recharged_yuan,
    yuan(billed_microcny) AS billed_yuan,
    yuan(card_billed_microcny) AS card_billed_yuan,
    yuan(unexplained_microcny) AS unexplained_yuan,
    workflow_yuan
FROM balance_daily
WHERE in_period(day) AND account_chosen(account)
ORDER BY day, account
