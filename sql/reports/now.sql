-- What there is now: every instance that is not gone, the longest running first.
-- @param account only this account, or all
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column state {text} meaning of the status code
-- @column gpu {text} number and model of its GPUs
-- @column running_since {instant} start of the current run, UTC
-- @column hours {unit=h, keep} hours since then, up to the newest complete poll
-- @column timer {instant} when it will be shut down, UTC; empty: never
-- @column owner {text} who it is for
-- @column project {text} project that pays
-- @column yuan_per_hour {unit=yuan, total, keep} what it costs an hour while it runs; empty: not running, or not known
-- @column image {text} image and tag
-- @column instance_uuid {text} identity
-- @column as_of {instant} start of the newest complete poll, UTC
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
