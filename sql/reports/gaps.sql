-- Gaps: times between two complete polls in which nothing was observed, the longest first. A gap is more
-- than three times the account's usual distance between polls, and more than ten minutes.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column gap_from {instant} end of the complete poll before it, UTC
-- @column gap_to {instant} start of the next complete poll, UTC
-- @column hours {unit=h, total} its length; also what lies outside the period
SELECT account, gap_from, gap_to, hours(gap_s) AS hours
FROM sync_gap
WHERE gap_to_s > period_starts_s() AND gap_from_s < period_ends_s() AND account_chosen(account)
ORDER BY gap_s DESC, account, gap_from_s
