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
SELECT
    a.name AS account,
    p.day,
    p.instance_uuid,
    i.title,
    d.is_weekend,
    p.running_s,
    p.night_s,
    CASE WHEN d.is_weekend THEN p.running_s ELSE 0 END AS weekend_s,
    p.gpu_s,
    p.night_gpu_s,
    CASE WHEN d.is_weekend THEN p.gpu_s ELSE 0 END AS weekend_gpu_s,
    in_hours(p.running_s) AS hours,
    in_hours(p.night_s) AS night_hours,
    in_hours(CASE WHEN d.is_weekend THEN p.running_s ELSE 0 END) AS weekend_hours,
    in_hours(p.gpu_s) AS gpu_hours,
    in_hours(p.night_gpu_s) AS night_gpu_hours,
    in_hours(CASE WHEN d.is_weekend THEN p.gpu_s ELSE 0 END) AS weekend_gpu_hours,
    periods_of(p.day)
FROM running_by([account_id, day, instance_uuid]) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
JOIN local_day d ON d.day = p.day
