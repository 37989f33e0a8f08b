-- Timers: the scheduled shutdown of every instance that runs, those without one first, the longest
-- running on top. A timer that should have gone off is overdue.
-- @zh 每台运行中实例的定时关机，没有定时的在前，运行最久的在上。
-- @param account only this account, or all
-- @param timer only those whose timer is [any, none, set, overdue, unknown]
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column timer {zh=定时状态} none, set, overdue, or unknown: on, at a time that is no time | 无、已设、已过时，或未知（已开启但时间无效）
-- @column shutdown_time {zh=定时关机, instant} when it will be shut down, UTC | 定时关机时间
-- @column hours_left {zh=剩余时长, unit=h} hours until then | 距定时关机的小时数
-- @column running_since {zh=运行自, instant} start of the current run, UTC | 本次运行的开始
-- @column hours {zh=已运行时长, unit=h} hours since then | 此后的小时数
-- @column gpu_nums {zh=卡数, int, total} number of GPUs | 卡数
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column owner {zh=负责人} who it is for | 使用人
-- @column project {zh=项目} project that pays | 承担费用的项目
-- @column yuan_per_hour {zh=每小时费用, unit=yuan, total} what it costs an hour while it runs; empty: not running, or not known | 运行时每小时费用；空：未运行或未知
-- @column instance_uuid {zh=实例ID} identity | 实例标识
-- @column as_of {zh=截至, instant} start of the newest complete poll, UTC | 最近一次完整轮询的开始
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
