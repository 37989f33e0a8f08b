-- Uptime: hours of running time, and rented card-hours (hours times GPUs: not utilisation), by the
-- best estimate; with --bounds also the sure minimum and the maximum, which takes what ran at the newest
-- complete poll to have run on. `observed_percent` is the share of the period, up to now, in which the
-- account was observed without a gap (more than three times the account's usual distance between polls,
-- and than ten minutes); after the newest complete poll it was not. Hours are rounded to hundredths in
-- whole numbers, so that both databases give the same.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [instance, gpu, day, week, month]
-- @column account {text} the account's name
-- @column what {text} the instance, GPU model or time that the line is about
-- @column instance_uuid {text} identity, by instance
-- @column hours {unit=h, total} hours of running time, estimate
-- @column hours_min {unit=h, total} at least
-- @column hours_max {unit=h, total} at most
-- @column gpu_hours {unit=card-h, total} card-hours, estimate
-- @column gpu_hours_min {unit=card-h, total} at least
-- @column gpu_hours_max {unit=card-h, total} at most
-- @column observed_percent {unit=%} share of the period, up to now, that was observed; unlike in coverage, time before the first poll counts as not observed
WITH observed AS (
    SELECT account, CASE WHEN asked_s > 0 THEN percent_of_time(seen_s, asked_s) END AS observed_percent
    FROM time_observed() o
),
unseen AS unseen_in_period(),
lines AS (
    SELECT
        u.account,
        CASE CAST(:by AS TEXT)
            WHEN 'instance' THEN u.title
            WHEN 'gpu' THEN u.gpu_name
            WHEN 'day' THEN CAST(u.day AS TEXT)
            WHEN 'week' THEN c.week
            ELSE c.month
        END AS what,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN u.instance_uuid END AS instance_uuid,
        sums_of_times(u)
    FROM (
        SELECT
            account, day, instance_uuid, title, NULL AS gpu_name,
            running_s, running_min_s, running_max_s, gpu_s, gpu_min_s, gpu_max_s
        FROM uptime_daily
        WHERE CAST(:by AS TEXT) <> 'gpu'
        UNION ALL
        SELECT
            account, day, NULL, NULL, gpu_name,
            running_s, running_min_s, running_max_s, gpu_s, gpu_min_s, gpu_max_s
        FROM gpu_usage_daily
        WHERE CAST(:by AS TEXT) = 'gpu'
        UNION ALL
        SELECT
            account, day, instance_uuid, title, gpu_name,
            NULL, 0, running_max_s, NULL, 0, running_max_s * gpu_nums
        FROM unseen
        WHERE kind = 'running'
    ) u
    JOIN calendar_day c ON c.day = u.day
    WHERE in_period(u.day)
        AND account_chosen(u.account)
    GROUP BY 1, 2, 3
)
SELECT
    l.account,
    l.what,
    l.instance_uuid,
    hours(l.running_s) AS hours,
    hours(l.running_min_s) AS hours_min,
    hours(l.running_max_s) AS hours_max,
    hours(l.gpu_s) AS gpu_hours,
    hours(l.gpu_min_s) AS gpu_hours_min,
    hours(l.gpu_max_s) AS gpu_hours_max,
    o.observed_percent
FROM lines l
LEFT JOIN observed o ON o.account = l.account
WHERE l.running_max_s > 0
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'week', 'month') THEN l.what END,
    COALESCE(l.gpu_s, -1) DESC, COALESCE(l.running_s, -1) DESC, l.account, l.what, l.instance_uuid
