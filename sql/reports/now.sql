-- What there is now: every instance that is not gone, the longest running first.
-- @param account only this account, or all
-- @column account {zh=账户} the account's name
-- @column title {zh=名称} the user's name for the instance
-- @column state {zh=状态} meaning of the status code
-- @column gpu {zh=显卡} number and model of its GPUs
-- @column running_since {zh=运行自, instant} start of the current run, UTC
-- @column hours {zh=已运行时长, unit=h} hours since then, up to the newest complete poll
-- @column timer {zh=定时关机, instant} when it will be shut down, UTC; empty: never
-- @column owner {zh=负责人} who it is for
-- @column project {zh=项目} project that pays
-- @column yuan_per_hour {zh=每小时费用, unit=yuan, total} what it costs an hour while it runs; empty: not running, or not known
-- @column image {zh=镜像} image and tag
-- @column instance_uuid {zh=实例ID} identity
-- @column as_of {zh=截至, instant} start of the newest complete poll, UTC
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
