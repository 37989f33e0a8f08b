-- Timers: the scheduled shutdown of every instance that runs, those without one first, the longest
-- running on top. A timer that should have gone off is overdue.
-- @param account only this account, or all
-- @param timer only those whose timer is [any, none, set, overdue, unknown]
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column timer {text, keep} none, set, overdue, or unknown: on, at a time that is no time
-- @column shutdown_time {instant} when it will be shut down, UTC
-- @column hours_left {unit=h} hours until then
-- @column running_since {instant} start of the current run, UTC
-- @column hours {unit=h, keep} hours since then
-- @column gpu_nums {int, total} number of GPUs
-- @column gpu_name {text} GPU model
-- @column owner {text} who it is for
-- @column project {text} project that pays
-- @column yuan_per_hour {unit=yuan, total, keep} what it costs an hour while it runs; empty: not running, or not known
-- @column instance_uuid {text} identity
-- @column as_of {instant} start of the newest complete poll, UTC
WITH running AS (
    SELECT
        account, title, shutdown_time, running_since, gpu_nums, gpu_name, instance_uuid, as_of,
        owner, project, yuan(hour_microcny) AS yuan_per_hour,
        CASE
            WHEN shutdown_time_s IS NULL AND timer_is_on THEN 'unknown'
            WHEN shutdown_time_s IS NULL THEN 'none'
            WHEN shutdown_time_s <= as_of_s THEN 'overdue'
            ELSE 'set'
        END AS timer,
        CASE WHEN shutdown_time_s > as_of_s THEN hours(shutdown_time_s - as_of_s) END AS hours_left,
        CASE WHEN as_of_s > running_since_s THEN hours(as_of_s - running_since_s) ELSE 0.0 END AS hours,
        running_since_s
    FROM instance_now
    WHERE running_since_s IS NOT NULL
)
SELECT
    account, title, timer, shutdown_time, hours_left, running_since, hours, gpu_nums, gpu_name,
    owner, project, yuan_per_hour, instance_uuid, as_of
FROM running
WHERE account_chosen(account)
    AND CAST(:timer AS TEXT) IN ('any', timer)
ORDER BY CASE timer WHEN 'none' THEN 0 WHEN 'overdue' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END, running_since_s, account, instance_uuid
