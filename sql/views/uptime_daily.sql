-- Running time by instance and day of the reporting time zone: surely at least `running_min_s`, by
-- the best estimate `running_s`, at most `running_max_s` seconds. `gpu_*_s` are seconds times the
-- number of GPUs (rented card-time, not utilisation). A day's maximum is at most the part of the day
-- up to the horizon (the start of the newest complete poll; for a missing instance its last
-- sighting). A day without a row had no running time.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column gpu_s card-seconds, estimate
-- @column gpu_min_s card-seconds, at least
-- @column gpu_max_s card-seconds, at most
-- @column observed_until_s until when the account was observed: start of its newest complete poll, epoch seconds
-- @column hours running time in hours, estimate
-- @column hours_min at least
-- @column hours_max at most
-- @column gpu_hours card-hours, estimate
-- @column gpu_hours_min at least
-- @column gpu_hours_max at most
SELECT u.*, hours_of_times(u), periods_of(u.day)
FROM (
    SELECT
        account,
        day,
        instance_uuid,
        title,
        running_s,
        running_min_s,
        -- parts of one day may each be true at most, but not all at once: a day has no more seconds
        CASE
            WHEN running_max_s <= cap_s THEN running_max_s
            WHEN cap_s < running_s THEN running_s
            ELSE cap_s
        END AS running_max_s,
        gpu_s,
        gpu_min_s,
        CASE
            WHEN gpu_max_s <= cap_s * gpu_most THEN gpu_max_s
            WHEN cap_s * gpu_most < gpu_s THEN gpu_s
            ELSE cap_s * gpu_most
        END AS gpu_max_s,
        horizon_s AS observed_until_s
    FROM (
        SELECT
            a.name AS account,
            d.day,
            d.instance_uuid,
            i.title,
            times(d),
            d.gpu_most,
            h.horizon_s,
            CASE
                WHEN h.horizon_s < c.starts_s THEN 0
                WHEN h.horizon_s < c.ends_s THEN h.horizon_s - c.starts_s
                ELSE c.ends_s - c.starts_s
            END AS cap_s
        FROM running_by([account_id, day, instance_uuid]) d
        JOIN account a ON a.account_id = d.account_id
        JOIN instance i ON is_instance_of(i, d)
        JOIN calendar_day c ON c.day = d.day
        LEFT JOIN (
            SELECT account_id, epoch(last_at) AS horizon_s FROM _sync_horizon
        ) h ON h.account_id = d.account_id
    ) capped
) u
