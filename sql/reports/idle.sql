-- Idle suspects: instances that ran in the period, by hours in the night (0 to 8 o'clock, the first
-- eight hours of the local day) and on weekends, and those that run for long without a timer. Their
-- load in that time is not known: ask the owners.
-- @zh 疑似闲置：期间内在夜间和周末运行的实例，以及长时间运行而没有定时关机的实例。负载未知，请询问使用人。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param hours what counts as running for long, hours [= 12]
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column suspect {zh=可疑, int} 1 if it runs now without a timer for at least that long | 1：无定时关机且已运行过久
-- @column running_hours {zh=当前已运行, unit=h} hours of the run that goes on now | 本次运行的小时数
-- @column timer {zh=定时关机, instant} when it will be shut down, UTC; empty: no timer, or it does not run | 定时关机时间；空：无定时或未运行
-- @column owner {zh=负责人} who it is for | 使用人
-- @column project {zh=项目} project that pays | 承担费用的项目
-- @column yuan_per_hour {zh=每小时费用, unit=yuan, total} what it costs an hour while it runs; empty: not running, or not known | 运行时每小时费用；空：未运行或未知
-- @column hours {zh=运行时长, unit=h, total} hours of running time in the period | 期间内运行小时数
-- @column night_hours {zh=夜间时长, unit=h, total} of them between 0 and 8 o'clock | 其中 0 至 8 点
-- @column weekend_hours {zh=周末时长, unit=h, total} of them on Saturday and Sunday | 其中周六、周日
-- @column nights {zh=夜晚数, int, total} nights in which it ran for at least four hours | 运行满四小时的夜晚数
-- @column night_gpu_hours {zh=夜间卡时, unit=card-h, total} card-hours between 0 and 8 o'clock | 0 至 8 点的卡时
-- @column weekend_gpu_hours {zh=周末卡时, unit=card-h, total} card-hours on Saturday and Sunday | 周六、周日的卡时
-- @column instance_uuid {zh=实例ID} identity | 实例标识
WITH used AS (
    SELECT
        account,
        instance_uuid,
        MAX(title) AS title,
        sum_of(running_s) AS running_s,
        sum_of(night_s) AS night_s,
        sum_of(weekend_s) AS weekend_s,
        sum_of(night_gpu_s) AS night_gpu_s,
        sum_of(weekend_gpu_s) AS weekend_gpu_s,
        sum_of(CASE WHEN night_s >= {NIGHT_RUN_S} THEN 1 ELSE 0 END) AS nights
    FROM night_weekend_daily
    WHERE in_period(day)
        AND account_chosen(account)
    GROUP BY account, instance_uuid
),
lines AS (
    SELECT
        u.*,
        n.shutdown_time,
        n.owner,
        n.project,
        n.hour_microcny,
        CASE WHEN n.as_of_s > n.running_since_s THEN n.as_of_s - n.running_since_s END AS run_s,
        CASE
            WHEN n.shutdown_time_s IS NULL
                AND n.as_of_s - n.running_since_s >= CAST(:hours AS BIGINT) * {HOUR_S}
            THEN 1
            ELSE 0
        END AS suspect
    FROM used u
    LEFT JOIN instance_now n ON n.account = u.account AND n.instance_uuid = u.instance_uuid
    WHERE u.running_s > 0
)
SELECT
    account,
    title,
    suspect,
    hours(run_s) AS running_hours,
    CASE WHEN run_s IS NOT NULL THEN shutdown_time END AS timer,
    owner,
    project,
    yuan(hour_microcny) AS yuan_per_hour,
    hours(running_s) AS hours,
    hours(night_s) AS night_hours,
    hours(weekend_s) AS weekend_hours,
    nights,
    hours(night_gpu_s) AS night_gpu_hours,
    hours(weekend_gpu_s) AS weekend_gpu_hours,
    instance_uuid
FROM lines
ORDER BY suspect DESC, night_s + weekend_s DESC, running_s DESC, account, instance_uuid
