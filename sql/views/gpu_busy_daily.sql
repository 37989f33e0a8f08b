-- How rented GPUs were used, by instance and day of the reporting time zone, as far as imported samples tell. A
-- sample speaks for the five minutes of the clock in which it lies. Card-seconds are those of running time:
-- busy, idle and not sampled add up to what was rented, by the best estimate. What was not sampled can have been
-- busy as well as idle, hence the maxima.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column gpu_s card-seconds rented, estimate
-- @column gpu_min_s card-seconds rented, at least
-- @column gpu_max_s card-seconds rented, at most
-- @column seen_s of gpu_s, those that were sampled
-- @column busy_s of them, those in which the GPU was busy: at least so many
-- @column idle_s of them, those in which it was idle: at least so many
-- @column unsampled_s of gpu_s, those without a sample
-- @column busy_max_s busy card-seconds, at most
-- @column idle_max_s idle card-seconds, at most
-- @column gpu_hours card-hours rented, estimate
-- @column busy_hours card-hours in which the GPU was busy, at least
-- @column busy_hours_max at most
-- @column idle_hours card-hours in which it was idle, at least
-- @column idle_hours_max at most
-- @column unsampled_hours card-hours without a sample
-- @column mean_percent mean utilisation while it was sampled
-- @column memory_max_mb most memory of a GPU in use, MiB; null: not known
-- @column memory_total_mb memory of a GPU, MiB; null: not known
SELECT
    account,
    day,
    instance_uuid,
    title,
    gpu_s,
    gpu_min_s,
    gpu_max_s,
    seen_s,
    busy_s,
    idle_s,
    unsampled_s,
    busy_max_s,
    idle_max_s,
    in_hours(gpu_s) AS gpu_hours,
    in_hours(busy_s) AS busy_hours,
    in_hours(busy_max_s) AS busy_hours_max,
    in_hours(idle_s) AS idle_hours,
    in_hours(idle_max_s) AS idle_hours_max,
    in_hours(unsampled_s) AS unsampled_hours,
    mean_percent,
    memory_max_mb,
    memory_total_mb,
    periods_of(l.day)
FROM (
    SELECT
        u.account,
        u.day,
        u.instance_uuid,
        u.title,
        used_of_load(u),
        mean_percent(u) AS mean_percent,
        u.memory_max_mb,
        u.memory_total_mb
    FROM (
        SELECT account, day, instance_uuid, title, sums_of_load(_load_line)
        FROM _load_line
        GROUP BY account, day, instance_uuid, title
    ) u
) l
