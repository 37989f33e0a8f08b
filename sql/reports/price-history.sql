-- Price history: the list prices of GPU models that held in the period, and the price of an hour before
-- each. A price began after `not_before` and not later than `valid_from`.
-- @zh 期内有效的显卡目录价，以及各自之前的每小时价格。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column not_before {zh=不早于, instant} the price began after this moment, UTC; empty: before we looked | 价格在此之后生效；空：开始观测之前
-- @column valid_from {zh=生效自, instant} and not later than this, UTC | 不晚于此时生效
-- @column valid_to {zh=失效于, instant} when another price was first seen, UTC; empty: it still holds | 首次看到另一价格的时间；空：仍然有效
-- @column hour_yuan {zh=每小时, unit=yuan} one GPU for an hour | 一张卡一小时
-- @column before_yuan {zh=此前每小时, unit=yuan} the price of an hour before it; empty: not known | 此前一小时的价格；空：未知
-- @column day_yuan {zh=每天, unit=yuan} one GPU for a day | 一张卡一天
-- @column week_yuan {zh=每周, unit=yuan} one GPU for a week | 一张卡一周
-- @column month_yuan {zh=每月, unit=yuan} one GPU for a month | 一张卡一个月
WITH prices AS (
    SELECT
        account,
        COALESCE(gpu_name, gpu_uuid) AS gpu_name,
        gpu_uuid,
        LAG(last_seen_at) OVER (PARTITION BY account, gpu_uuid ORDER BY valid_from_s) AS not_before,
        valid_from,
        valid_to,
        hour_yuan,
        LAG(hour_yuan) OVER (PARTITION BY account, gpu_uuid ORDER BY valid_from_s) AS before_yuan,
        day_yuan,
        week_yuan,
        month_yuan,
        valid_from_s,
        valid_to_s
    FROM gpu_price_history
    WHERE account_chosen(account)
)
SELECT
    account,
    gpu_name,
    not_before,
    valid_from,
    valid_to,
    hour_yuan,
    before_yuan,
    day_yuan,
    week_yuan,
    month_yuan
FROM prices
WHERE valid_from_s < period_ends_s() AND (valid_to_s IS NULL OR valid_to_s >= period_starts_s())
ORDER BY gpu_name, valid_from_s, account, gpu_uuid
