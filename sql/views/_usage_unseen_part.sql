-- The time after the horizon of each open stretch, cut into days, as far as the calendar goes: the usage
-- may have gone on, but no poll has looked. Of an account that was retired it ends then. It is in no minimum and in no estimate. Choose the days up
-- to today, and cut today at the present moment.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column running_s 0
-- @column running_min_s 0
-- @column running_max_s seconds of the day from the horizon on
-- @column usage_started_s start of the stretch, epoch seconds
-- @column started_s start of the part, epoch seconds
-- @column evidence of the stretch
SELECT
    u.account_id,
    u.day,
    u.instance_uuid,
    u.usage_no,
    u.kind,
    0 AS running_s,
    0 AS running_min_s,
    u.ends_s - u.started_s AS running_max_s,
    u.gpu_uuid,
    u.gpu_name,
    u.gpu_nums,
    u.charging_type,
    u.image_uuid,
    u.evidence,
    u.usage_started_s,
    u.started_s,
    a.name AS account,
    i.title
FROM (
    SELECT
        o.account_id,
        c.day,
        o.instance_uuid,
        o.usage_no,
        o.kind,
        o.gpu_uuid,
        o.gpu_name,
        o.gpu_nums,
        o.charging_type,
        o.image_uuid,
        o.evidence,
        o.started_s AS usage_started_s,
        later(later(o.horizon_max_s, o.started_s), c.starts_s) AS started_s,
        earlier(c.ends_s, COALESCE(epoch(w.retired_at), c.ends_s)) AS ends_s
    FROM _usage_open o
    JOIN account w ON w.account_id = o.account_id
    CROSS JOIN calendar_day c
    WHERE c.ends_s > o.horizon_max_s AND c.ends_s > o.started_s
) u
JOIN account a ON a.account_id = u.account_id
JOIN instance i ON is_instance_of(i, u)
WHERE u.ends_s > u.started_s
