-- What there is now: every instance that is not gone, the longest running first.
-- @zh 当前所有未消失的实例，运行最久的在前。
-- @param account only this account, or all
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column state {zh=状态} meaning of the status code | 状态码的含义
-- @column gpu {zh=显卡} number and model of its GPUs | 卡数与型号
-- @column running_since {zh=运行自, instant} start of the current run, UTC | 本次运行的开始
-- @column hours {zh=已运行时长, unit=h} hours since then, up to the newest complete poll | 此后的小时数，至最近一次完整轮询
-- @column timer {zh=定时关机, instant} when it will be shut down, UTC; empty: never | 定时关机时间；空：无
-- @column owner {zh=负责人} who it is for | 使用人
-- @column project {zh=项目} project that pays | 承担费用的项目
-- @column yuan_per_hour {zh=每小时费用, unit=yuan, total} what it costs an hour while it runs; empty: not running, or not known | 运行时每小时费用；空：未运行或未知
-- @column image {zh=镜像} image and tag | 镜像与标签
-- @column instance_uuid {zh=实例ID} identity | 实例标识
-- @column as_of {zh=截至, instant} start of the newest complete poll, UTC | 最近一次完整轮询的开始
SELECT
    account,
    title,
    CASE WHEN missing_since IS NULL THEN state ELSE state || ' (missing)' END AS state,
    gpus(gpu_nums, gpu_name) AS gpu,
    running_since,
    hours(as_of_s - running_since_s) AS hours,
    shutdown_time AS timer,
    owner,
    project,
    yuan(hour_microcny) AS yuan_per_hour,
    image_name || COALESCE(':' || image_tag, '') AS image,
    instance_uuid,
    as_of
FROM instance_now
WHERE account_chosen(account)
ORDER BY CASE WHEN running_since_s IS NULL THEN 1 ELSE 0 END, running_since_s, account, instance_uuid
