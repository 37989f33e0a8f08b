-- GPU hours: rented card-hours (running time times GPUs: not utilisation) by model, and by day, week,
-- month or instance, by the best estimate; with --bounds also the sure minimum and the maximum, which takes
-- what ran at the newest complete poll to have run on.
-- @zh 各型号的租用卡时（运行时长 × 卡数，不是利用率），按日、周、月或实例；加 --bounds 时含下限和
-- @zh 上限。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line of each model for each [model, day, week, month, instance]
-- @column account {zh=账户} the account's name | 账户名称
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column what {zh=对象} the day, week, month or instance that the line is about; by model the same as gpu_name | 本行的日、周、月或实例；按型号时同显卡型号
-- @column instance_uuid {zh=实例ID} identity, by instance | 实例标识（按实例时）
-- @column hours {zh=运行时长, unit=h, total} hours of running time, estimate | 运行小时数的最佳估计
-- @column hours_min {zh=至少运行, unit=h, total} at least | 下限
-- @column hours_max {zh=至多运行, unit=h, total} at most | 上限
-- @column gpu_hours {zh=租用卡时, unit=card-h, total} card-hours, estimate | 卡时的最佳估计（租用时长 × 卡数，不是利用率）
-- @column gpu_hours_min {zh=至少卡时, unit=card-h, total} at least | 下限
-- @column gpu_hours_max {zh=至多卡时, unit=card-h, total} at most | 上限
WITH unseen AS unseen_in_period(),
used AS (
    SELECT
        account, day, gpu_name, NULL AS instance_uuid, NULL AS title,
        running_s, running_min_s, running_max_s, gpu_s, gpu_min_s, gpu_max_s
    FROM gpu_usage_daily
    WHERE CAST(:by AS TEXT) <> 'instance'
    UNION ALL
    SELECT
        account, day, gpu_name, instance_uuid, title,
        running_s, running_min_s, running_max_s, gpu_s, gpu_min_s, gpu_max_s
    FROM gpu_usage_instance_daily
    WHERE CAST(:by AS TEXT) = 'instance'
    UNION ALL
    SELECT
        account, day, gpu_name,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN instance_uuid END,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN title END,
        NULL, 0, running_max_s, NULL, 0, running_max_s * gpu_nums
    FROM unseen
    WHERE kind = 'running'
),
lines AS (
    SELECT
        u.account,
        u.gpu_name,
        CASE CAST(:by AS TEXT)
            WHEN 'instance' THEN u.title
            WHEN 'day' THEN CAST(u.day AS TEXT)
            WHEN 'week' THEN c.week
            WHEN 'month' THEN c.month
            ELSE u.gpu_name
        END AS what,
        u.instance_uuid,
        sums_of_times(u)
    FROM used u
    JOIN calendar_day c ON c.day = u.day
    WHERE in_period(u.day)
        AND account_chosen(u.account)
    GROUP BY 1, 2, 3, 4
)
SELECT
    account,
    gpu_name,
    what,
    instance_uuid,
    hours(running_s) AS hours,
    hours(running_min_s) AS hours_min,
    hours(running_max_s) AS hours_max,
    hours(gpu_s) AS gpu_hours,
    hours(gpu_min_s) AS gpu_hours_min,
    hours(gpu_max_s) AS gpu_hours_max
FROM lines
WHERE running_max_s > 0
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'week', 'month') THEN what END,
    COALESCE(gpu_s, -1) DESC, COALESCE(running_s, -1) DESC, account, COALESCE(gpu_name, ''), COALESCE(what, ''), instance_uuid
