-- Running time by instance and day of the reporting time zone, and how much of it fell into the night
-- (the first eight hours of the local day) and on a weekend: the hours in which a forgotten machine
-- stands out. Best estimates.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column is_weekend true on Saturday and Sunday
-- @column running_s seconds
-- @column night_s of them in the night, seconds
-- @column weekend_s of them on a weekend, seconds
-- @column gpu_s card-seconds
-- @column night_gpu_s of them in the night, card-seconds
-- @column weekend_gpu_s of them on a weekend, card-seconds
-- @column hours running time in hours
-- @column night_hours of them in the night
-- @column weekend_hours of them on a weekend
-- @column gpu_hours card-hours
-- @column night_gpu_hours of them in the night
-- @column weekend_gpu_hours of them on a weekend
WITH open_daily AS (
    SELECT
        account_id,
        day,
        instance_uuid,
        is_weekend,
        sum_of(running_s) AS running_s,
        sum_of(night_s) AS night_s,
        sum_of(running_s * gpu_nums) AS gpu_s,
        sum_of(night_s * gpu_nums) AS night_gpu_s
    FROM (
        SELECT
            u.account_id,
            u.day,
            u.instance_uuid,
            u.gpu_nums,
            u.running_s,
            d.is_weekend,
            in_night(u.started_s, u.running_s, d.night_ends_s) AS night_s
        FROM _usage_open_part u
        CROSS JOIN local_day d
        WHERE d.day = u.day AND u.kind = 'running'
    ) parts
    GROUP BY account_id, day, instance_uuid, is_weekend
)
SELECT
    a.name AS account,
    p.day,
    p.instance_uuid,
    i.title,
    p.is_weekend,
    p.running_s,
    p.night_s,
    CASE WHEN p.is_weekend THEN p.running_s ELSE 0 END AS weekend_s,
    p.gpu_s,
    p.night_gpu_s,
    CASE WHEN p.is_weekend THEN p.gpu_s ELSE 0 END AS weekend_gpu_s,
    in_hours(p.running_s) AS hours,
    in_hours(p.night_s) AS night_hours,
    in_hours(CASE WHEN p.is_weekend THEN p.running_s ELSE 0 END) AS weekend_hours,
    in_hours(p.gpu_s) AS gpu_hours,
    in_hours(p.night_gpu_s) AS night_gpu_hours,
    in_hours(CASE WHEN p.is_weekend THEN p.gpu_s ELSE 0 END) AS weekend_gpu_hours,
    periods_of(p.day)
FROM (
    -- a condition on the day passes through a grouping of one table to its index, but not through
    -- a grouping of a union: so closed and open parts are grouped apart
    SELECT
        u.account_id,
        u.day,
        u.instance_uuid,
        u.is_weekend,
        u.running_s + COALESCE(o.running_s, 0) AS running_s,
        u.night_s + COALESCE(o.night_s, 0) AS night_s,
        COALESCE(u.gpu_s + o.gpu_s, u.gpu_s, o.gpu_s) AS gpu_s,
        COALESCE(u.night_gpu_s + o.night_gpu_s, u.night_gpu_s, o.night_gpu_s) AS night_gpu_s
    FROM (
        SELECT
            summed.account_id,
            summed.day,
            summed.instance_uuid,
            d.is_weekend,
            sum_of(summed.running_s) AS running_s,
            sum_of(summed.night_s) AS night_s,
            sum_of(summed.running_s * summed.gpu_nums) AS gpu_s,
            sum_of(summed.night_s * summed.gpu_nums) AS night_gpu_s
        FROM running_sum summed
        CROSS JOIN local_day d  -- SQLite keeps this order: sums of the period, then their days
        WHERE d.day = summed.day
        GROUP BY summed.account_id, summed.day, summed.instance_uuid, d.is_weekend
    ) u
    LEFT JOIN open_daily o
        ON is_instance_of(o, u) AND o.day = u.day
    UNION ALL
    SELECT
        o.account_id,
        o.day,
        o.instance_uuid,
        o.is_weekend,
        o.running_s,
        o.night_s,
        o.gpu_s,
        o.night_gpu_s
    FROM open_daily o
    WHERE NOT EXISTS (
        SELECT 1 FROM running_sum u
        WHERE is_instance_of(u, o)
            AND u.day = o.day
    )
) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
