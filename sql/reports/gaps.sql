-- Gaps: times between two complete polls in which nothing was observed, the longest first. A gap is more
-- than three times the account's usual distance between polls, and more than ten minutes.
-- @zh 两次完整轮询之间无人观测的时段，最长的在前。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column gap_from {zh=开始, instant} end of the complete poll before it, UTC | 缺口之前那次完整轮询的结束
-- @column gap_to {zh=结束, instant} start of the next complete poll, UTC | 下一次完整轮询的开始
-- @column hours {zh=时长, unit=h, total} its length; also what lies outside the period | 缺口时长，包括期外部分
SELECT account, gap_from, gap_to, hours(gap_s) AS hours
FROM sync_gap
WHERE gap_to_s > period_starts_s() AND gap_from_s < period_ends_s() AND account_chosen(account)
ORDER BY gap_s DESC, account, gap_from_s
