-- GPU hours: rented card-hours (running time times GPUs: not utilisation) by model, and by day, week,
-- month or instance, by the best estimate; with --bounds also the sure minimum and the maximum, which takes
-- what ran at the newest complete poll to have run on.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line of each model for each [model, day, week, month, instance]
-- @column account {text} the account's name
-- @column gpu_name {text} GPU model
-- @column what {text} the day, week, month or instance that the line is about; by model the same as gpu_name
-- @column instance_uuid {text} identity, by instance
-- @column hours {unit=h, total} hours of running time, estimate
-- @column hours_min {unit=h, total} at least
-- @column hours_max {unit=h, total} at most
-- @column gpu_hours {unit=card-h, total} card-hours, estimate
-- @column gpu_hours_min {unit=card-h, total} at least
-- @column gpu_hours_max {unit=card-h, total} at most
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
