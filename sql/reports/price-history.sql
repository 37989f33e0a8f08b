-- Price history: the list prices of GPU models that held in the period, and the price of an hour before
-- each. A price began after `not_before` and not later than `valid_from`.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column gpu_name {text} GPU model
-- @column not_before {instant} the price began after this moment, UTC; empty: before we looked
-- @column valid_from {instant} and not later than this, UTC
-- @column valid_to {instant} when another price was first seen, UTC; empty: it still holds
-- @column hour_yuan {unit=yuan} one GPU for an hour
-- @column before_yuan {unit=yuan} the price of an hour before it; empty: not known
-- @column day_yuan {unit=yuan} one GPU for a day
-- @column week_yuan {unit=yuan} one GPU for a week
-- @column month_yuan {unit=yuan} one GPU for a month
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
