-- Open stretches (few) cut into days, up to the horizon: the start of the newest complete poll, for a
-- missing instance its last sighting.
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column usage_started_s start of the stretch, epoch seconds
-- @column started_s start of the part, epoch seconds
-- @column evidence of the stretch
SELECT
    account_id,
    day,
    instance_uuid,
    usage_no,
    kind,
    CASE WHEN is_booting = 1 OR ends_s <= begins_s THEN 0 ELSE ends_s - begins_s END AS running_s,
    CASE WHEN is_booting = 1 OR ends_s <= begins_s THEN 0 ELSE ends_s - begins_s END AS running_min_s,
    ends_max_s - begins_s AS running_max_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type,
    image_uuid,
    evidence,
    usage_started_s,
    begins_s AS started_s
FROM (
    SELECT
        o.account_id,
        c.day,
        o.instance_uuid,
        o.usage_no,
        o.kind,
        CASE WHEN o.evidence = 'booting' THEN 1 ELSE 0 END AS is_booting,
        later(o.started_s, c.starts_s) AS begins_s,
        earlier(o.horizon_s, c.ends_s) AS ends_s,
        earlier(o.horizon_max_s, c.ends_s) AS ends_max_s,
        o.gpu_uuid,
        o.gpu_name,
        o.gpu_nums,
        o.charging_type,
        o.image_uuid,
        o.evidence,
        o.started_s AS usage_started_s
    FROM _usage_open o
    CROSS JOIN calendar_day c
    WHERE c.starts_s < o.horizon_max_s AND c.ends_s > o.started_s
        AND c.starts_s > o.started_s - 172800  -- for the index: no day is longer than two
        AND o.started_s < o.horizon_max_s
) parts
