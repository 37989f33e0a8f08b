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
WITH open_daily AS (
    SELECT
        account_id,
        day,
        instance_uuid,
        sums_of_parts(_usage_open_part),
        MAX(gpu_nums) AS gpu_most
    FROM _usage_open_part
    WHERE kind = 'running'
    GROUP BY account_id, day, instance_uuid
)
SELECT u.*, hours_of_times(u), periods_of(u.day)
FROM (
    SELECT
        account,
        day,
        instance_uuid,
        title,
        running_s,
        running_min_s,
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
        FROM (
            -- a condition on the day passes through a grouping of one table to its index, but not through
            -- a grouping of a union: so closed and open parts are grouped apart
            SELECT
                u.account_id,
                u.day,
                u.instance_uuid,
                closed_and_open(u, o),
                CASE WHEN o.gpu_most > u.gpu_most THEN o.gpu_most ELSE COALESCE(u.gpu_most, o.gpu_most) END
                    AS gpu_most
            FROM (
                SELECT
                    account_id,
                    day,
                    instance_uuid,
                    sums_of_parts(running_sum),
                    MAX(gpu_nums) AS gpu_most
                FROM running_sum
                GROUP BY account_id, day, instance_uuid
            ) u
            LEFT JOIN open_daily o
                ON is_instance_of(o, u) AND o.day = u.day
            UNION ALL
            SELECT
                o.account_id,
                o.day,
                o.instance_uuid,
                times(o),
                o.gpu_most
            FROM open_daily o
            WHERE NOT EXISTS (
                SELECT 1 FROM running_sum u
                WHERE is_instance_of(u, o)
                    AND u.day = o.day
            )
        ) d
        JOIN account a ON a.account_id = d.account_id
        JOIN instance i ON is_instance_of(i, d)
        JOIN calendar_day c ON c.day = d.day
        LEFT JOIN (
            SELECT account_id, epoch(last_at) AS horizon_s FROM _sync_horizon
        ) h ON h.account_id = d.account_id
    ) capped
) u
